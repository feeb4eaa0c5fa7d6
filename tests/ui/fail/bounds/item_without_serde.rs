use farref::prelude::*;

pub struct Track;

#[expose]
pub trait Library {
    fn tracks(&self) -> impl Stream<Item = Track>;

    fn more(&self, like: u32) -> impl Stream<Item = Track>;
}

struct Shelf;

impl Library for Shelf {
    fn tracks(&self) -> impl Stream<Item = Track> {
        RemoteStreamOf(Track)
    }

    fn more(&self, _like: u32) -> impl Stream<Item = Track> {
        RemoteStreamOf(Track)
    }
}

struct RemoteStreamOf(Track);

impl Stream for RemoteStreamOf {
    type Item = Track;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Track>> {
        let _ = &self.0;
        std::task::Poll::Ready(None)
    }
}

fn main() {
    let _ = LibraryProxy::new(Shelf);
}
