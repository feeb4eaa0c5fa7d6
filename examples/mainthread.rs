//! An event loop that serves: a window whose objects must not leave the main thread, called from elsewhere.
//!
//! ```console
//! $ cargo run --example mainthread                                              # a window and its caller
//! $ cargo run --example mainthread window far://127.0.0.1:9996                  # a window, until it is closed
//! $ cargo run --example mainthread remote far://127.0.0.1:9996/window welcome   # shows a text in it and closes it
//! ```
//!
//! The loop here is a channel of events, as small as a loop can be; winit's, GTK's or Qt's have their own way of being
//! woken, and take the place of `events.send`. Three things tie farref to it: `pinned` makes an object of the main
//! thread, `blocking::notify` says how to wake the loop, and the loop then calls `blocking::poll_once`. The main thread
//! never waits: what it asks of others is a task of its own, made by `blocking::spawn_local`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;

use farref::blocking;
use farref::prelude::*;

/// A window on somebody's screen.
#[expose(local)]
pub trait Window {
    /// Shows a line of text. `reader` is asked what it thinks of it.
    async fn show(&self, text: &str, reader: ReaderProxy);

    /// Everything that it shows.
    fn lines(&self) -> Vec<String>;

    /// Closes it, which ends its program.
    #[oneway]
    fn close(&self);
}

/// Implemented by whoever shows something.
#[expose]
pub trait Reader {
    /// What it says of a text that is on the screen.
    async fn comment(&self, text: &str) -> String;
}

/// What the loop reacts to.
enum Event {
    /// Something for `poll_once` to do.
    Remote,
    /// A key that the user pressed.
    Key(char),
    Close,
}

/// As widgets are, not to be shared between threads.
struct Widget {
    lines: Rc<RefCell<Vec<String>>>,
    events: mpsc::Sender<Event>,
}

impl LocalWindow for Widget {
    async fn show(&self, text: &str, reader: ReaderProxy) {
        self.lines.borrow_mut().push(text.to_owned());
        let (lines, text) = (Rc::clone(&self.lines), text.to_owned());
        // Goes on within the loop when the answer is there; the caller of `show` does not wait for it.
        blocking::spawn_local(async move {
            if let Ok(comment) = reader.comment(&text).await {
                lines.borrow_mut().push(comment);
            }
        });
    }

    fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    fn close(&self) {
        // It fails when the loop has ended, which is what it asks for.
        let _ = self.events.send(Event::Close);
    }
}

struct Critic;

impl Reader for Critic {
    async fn comment(&self, text: &str) -> String {
        format!("\"{text}\", how nice")
    }
}

/// Opens a window and runs its loop until it is closed. `opened` gets its URI.
fn window(uri: &str, opened: impl FnOnce(Uri)) -> anyhow::Result<()> {
    let (sender, events) = mpsc::channel();
    let wake = sender.clone();
    blocking::notify(move || {
        // When the loop has ended, nobody is to be woken.
        let _ = wake.send(Event::Remote);
    });
    let lines = Rc::new(RefCell::new(vec!["an empty window".to_owned()]));
    let widget = WindowProxy::pinned(Widget {
        lines: Rc::clone(&lines),
        events: sender.clone(),
    });

    let daemon = blocking::bind(uri)?;
    opened(daemon.register("window", widget)?);
    sender.send(Event::Key('x'))?;

    for event in events {
        match event {
            Event::Remote => {
                blocking::poll_once()?;
            }
            Event::Key(key) => println!("window: the user pressed {key}"),
            Event::Close => break,
        }
    }
    for line in lines.borrow().iter() {
        println!("window: {line}");
    }
    blocking::wait(daemon.shutdown(Shutdown::default()))?;
    Ok(())
}

/// Shows a text in a window elsewhere, waits for it to be commented on, and closes the window.
fn remote(uri: &str, text: &str) -> anyhow::Result<()> {
    let window: WindowProxy = blocking::connect(uri)?;
    let before = window.lines().wait()?.len();
    window.show(text, ReaderProxy::new(Critic)).wait()?;
    while window.lines().wait()?.len() < before + 2 {}
    window.close().wait()?;
    // An answer says that what was sent before it has arrived; a window that is closed gives none.
    let _ = window.lines().wait();
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => window("far://127.0.0.1:0", |uri| {
            std::thread::spawn(move || {
                if let Err(error) = remote(&uri.to_string(), "hello") {
                    eprintln!("remote: {error:#}");
                }
            });
        }),
        ["window"] => window("far://127.0.0.1:0", |uri| println!("{uri}")),
        ["window", uri] => window(uri, |uri| println!("{uri}")),
        ["remote", uri, text] => remote(uri, text),
        _ => anyhow::bail!("say `window [URI]`, or `remote URI TEXT`, or nothing"),
    }
}
