//! Interfaces that extend others, also in other modules, and one whose objects take `&mut self`.

use farref::prelude::*;

pub mod media {
    use farref::prelude::*;

    #[expose]
    pub trait Jukebox {
        async fn play(&self) -> u32;
    }
}

#[expose]
pub trait Printer {
    fn print(&self, text: &str) -> usize;
}

#[expose]
pub trait Admin: media::Jukebox + Printer + std::fmt::Debug + Send + 'static {
    async fn shut_down(&self) -> bool;
}

#[expose]
pub trait Counter {
    fn add(&mut self, n: u32) -> u32;

    async fn add_twice(&mut self, n: u32) -> u32 {
        self.add(n);
        self.add(n)
    }

    async fn peek(&self) -> u32 {
        0
    }
}

#[expose]
pub trait NamedCounter: Counter {
    fn name(&self) -> String;
}

#[derive(Debug)]
struct Machine;

impl media::Jukebox for Machine {
    async fn play(&self) -> u32 {
        1
    }
}

impl Printer for Machine {
    fn print(&self, text: &str) -> usize {
        text.len()
    }
}

impl Admin for Machine {
    async fn shut_down(&self) -> bool {
        true
    }
}

struct Count(u32);

impl Counter for Count {
    fn add(&mut self, n: u32) -> u32 {
        self.0 += n;
        self.0
    }
}

impl NamedCounter for Count {
    fn name(&self) -> String {
        "count".to_owned()
    }
}

async fn twice<C: Counter>(counter: &mut C) -> u32 {
    counter.add_twice(1).await
}

#[tokio::main]
async fn main() {
    let admin = AdminProxy::new(Machine);
    assert!(admin.shut_down().await.expect("answers"));
    assert_eq!(admin.play().await.expect("the first extended interface"), 1);
    let printer: PrinterProxy = admin.clone().into();
    assert_eq!(printer.print("page").await.expect("the second"), 4);
    let jukebox: media::JukeboxProxy = admin.into();
    assert_eq!(jukebox.play().await.expect("the first, by conversion"), 1);

    let counter = CounterProxy::serial(Count(0));
    assert_eq!(counter.add_twice(2).await.expect("adds"), 4);
    let named = NamedCounterProxy::serial(Count(0));
    assert_eq!(named.add(2).await.expect("adds"), 2);
    assert_eq!(named.name().await.expect("answers"), "count");
    assert_eq!(twice(&mut Count(0)).await, 2);
}
