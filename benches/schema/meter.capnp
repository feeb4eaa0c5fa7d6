# What Cap'n Proto's peer calls; the others have it as Rust traits.
@0xd2c1a6f1f3be9a07;

struct Tag {
  key @0 :Text;
  value @1 :Text;
}

struct Record {
  number @0 :UInt64;
  title @1 :Text;
  artist @2 :Text;
  comment :union {
    none @3 :Void;
    some @4 :Text;
  }
  seconds @5 :Float64;
  year @6 :UInt32;
  available @7 :Bool;
  ratings @8 :List(UInt32);
  tags @9 :List(Tag);
}

interface Meter {
  add @0 (a :UInt32, b :UInt32) -> (sum :UInt32);
  echo @1 (bytes :Data) -> (bytes :Data);
  echoRecord @2 (record :Record) -> (record :Record);
  spin @3 ();
  wait @4 ();
}
