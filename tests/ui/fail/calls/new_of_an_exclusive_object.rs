use farref::prelude::*;

#[expose]
pub trait Counter {
    fn add(&mut self, n: u32) -> u32;
}

struct Count(u32);

impl Counter for Count {
    fn add(&mut self, n: u32) -> u32 {
        self.0 += n;
        self.0
    }
}

fn serve() -> CounterProxy {
    CounterProxy::new(Count(0))
}

fn main() {}
