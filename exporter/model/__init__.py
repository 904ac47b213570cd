"""What is passed around: frozen data, closed sets and the protocols between the stages. No I/O."""
