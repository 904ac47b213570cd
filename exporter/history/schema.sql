-- Version 1. Times are milliseconds of the wall clock; what came after what is told by `seq` alone, as clocks step back.

-- folded: the last `seq` that is in the tiers; next: the id the next metric gets; rows: in raw, minute and hour together.
create table meta (name text primary key, value integer not null) without rowid;
insert into meta values ('folded', 0), ('next', 1), ('rows', 0);

-- A metric has one id for each of its numbers, from `id` on; ids are never used twice. `readings` and `seen` are its last
-- ones that are in the tiers. `scope` is where it comes from: a new metric of a scope that was watched began at 0.
create table metric (
  id integer primary key,
  family text not null,
  kind text not null,
  labels text not null,   -- JSON, in the family's order
  parts text not null,    -- JSON: what each number is
  scope text not null,
  seen integer not null,
  readings blob,
  unique (family, kind, labels, parts)
);
create index metric_scope on metric (scope);
create index metric_seen on metric (seen);

-- Which metrics a snapshot had: pairs of id and number of parts, by id; deflated.
create table layout (id integer primary key, metrics blob not null);

-- One row per snapshot: the numbers as doubles, in the order of the layout. After `gap` there is a gap.
create table raw (
  seq integer primary key autoincrement,
  at integer not null,
  gap integer not null,
  snapshot integer not null,
  layout integer not null,
  readings blob not null
);
create index raw_at on raw (at);

-- The tiers. A row has the 60 minutes of an hour, or the 24 hours of a day, of one number; its id is the number of that
-- hour or day since 1970 in the upper 32 bits, and the id of the number in the lower: appended in the order of time.
create table minute (id integer primary key, cells blob not null);
create table hour (id integer primary key, cells blob not null);
