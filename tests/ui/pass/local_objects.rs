//! Objects that are not `Send`.

use std::cell::Cell;
use std::rc::Rc;

use farref::prelude::*;

#[expose(local)]
pub trait Window {
    fn title(&self) -> String;
    async fn resize(&self, width: u32) -> u32;
}

#[expose(local)]
pub trait Canvas {
    async fn draw(&mut self, x: u32) -> u32;
}

struct Screen {
    width: Rc<Cell<u32>>,
}

impl LocalWindow for Screen {
    fn title(&self) -> String {
        "screen".to_owned()
    }

    async fn resize(&self, width: u32) -> u32 {
        let shared = Rc::clone(&self.width);
        tokio::task::yield_now().await;
        shared.replace(width)
    }
}

impl LocalCanvas for Screen {
    async fn draw(&mut self, x: u32) -> u32 {
        self.width.set(x);
        x
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let calls = async {
        let window = WindowProxy::pinned(Screen { width: Rc::new(Cell::new(1)) });
        assert_eq!(window.resize(2).await.expect("resizes"), 1);
        assert_eq!(window.title().await.expect("answers"), "screen");
        let canvas = CanvasProxy::pinned(Screen { width: Rc::new(Cell::new(1)) });
        assert_eq!(canvas.draw(3).await.expect("draws"), 3);
    };
    tokio::task::LocalSet::new().run_until(calls).await;
}
