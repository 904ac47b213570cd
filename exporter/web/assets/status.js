(() => {
  "use strict";
  const link = document.getElementById("link");
  const main = document.querySelector("main");
  const units = [["y", 31536000], ["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let skew = 0; // how far the server's clock is ahead of this one, in ms
  let source = null;
  let retry = 0;
  let busy = false;
  let again = false;

  function show(state, text) {
    link.hidden = false;
    if (link.className === state) return; // a status that did not change is not announced again
    link.className = state;
    link.lastElementChild.textContent = text;
  }

  function relative(seconds) {
    const size = Math.abs(seconds);
    for (const [unit, length] of units) {
      if (size >= length) {
        const count = `${Math.floor(size / length)} ${unit}`;
        return seconds > 0 ? `${count} ago` : `in ${count}`;
      }
    }
    return "just now";
  }

  function tick() {
    const now = Date.now() + skew;
    for (const time of main.querySelectorAll("time")) {
      const text = relative((now - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // Changes only what differs: selected text, the scroll position and the focus stay where they are.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, i) => (i < before.length ? morph(before[i], node) : old.append(node)));
    before.slice(after.length).forEach((node) => node.remove());
  }

  function adopt(page) {
    morph(main, page.querySelector("main"));
    document.title = page.title;
    const icon = 'link[rel="icon"]';
    document.querySelector(icon).href = page.querySelector(icon).href;
    skew = Number(main.dataset.now) * 1000 - Date.now();
    tick();
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(String(answer.status));
      adopt(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      show("lost", "connection lost, trying again");
    }
    busy = false;
    if (again) {
      again = false;
      refresh();
    }
  }

  function listen() {
    clearTimeout(retry);
    source = new EventSource("events");
    source.onopen = () => {
      if (link.className === "lost") refresh();
      show("live", "live");
    };
    source.onmessage = (message) => {
      if (JSON.parse(message.data).snapshot_id !== Number(main.dataset.snapshot)) refresh();
    };
    source.onerror = () => {
      show("lost", "connection lost, trying again");
      // After a refusal the browser gives up by itself.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, 5000);
    };
  }

  function visible() {
    if (document.hidden) {
      clearTimeout(retry);
      source.close(); // a page that nobody sees holds no stream
    } else {
      refresh();
      listen();
    }
  }

  skew = Number(main.dataset.now) * 1000 - Date.now();
  tick();
  setInterval(tick, 1000);
  // Also without an event: that cycles have stopped is told by no snapshot.
  setInterval(() => document.hidden || refresh(), 30000);
  document.addEventListener("visibilitychange", visible);
  listen();
})();
