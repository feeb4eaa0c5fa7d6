//! How a signal is sent to those that hear it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::error::{ReceiverError, SignalError};
use super::event::Event;
use super::identity::{ReceiverId, Sender};
use super::receiver::Received;
use super::registry::{Entry, Snapshot};
use super::subscribers::Subscriber;
use super::{Responses, Signal};
use crate::roster;

impl<T, R> Signal<T, R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    /// Calls one receiver after the other until one fails.
    pub(super) async fn send_until_error(
        &self,
        sender: Option<&Sender>,
        value: T,
    ) -> Result<Responses<R>, SignalError<R>> {
        let Some(sending) = self.begin(sender, value) else {
            return Ok(Vec::new());
        };
        sending.queue().await;
        let mut delivered = Vec::with_capacity(sending.receivers.len());
        for entry in sending.hearing() {
            match entry.receiver.call(&sending.event).response().await {
                Some(Ok(response)) => delivered.push((entry.id.clone(), response)),
                Some(Err(source)) => return Err(SignalError::new(&entry.id, delivered, source)),
                None => self.forget_gone(),
            }
        }
        Ok(delivered)
    }

    /// Calls one receiver after the other, whatever becomes of each.
    pub(super) async fn send_to_all(
        &self,
        sender: Option<&Sender>,
        value: T,
    ) -> Responses<Result<R, ReceiverError>> {
        let Some(sending) = self.begin(sender, value) else {
            return Vec::new();
        };
        sending.queue().await;
        let mut responses = Vec::with_capacity(sending.receivers.len());
        for entry in sending.hearing() {
            match entry.receiver.call(&sending.event).response().await {
                Some(response) => responses.push((entry.id.clone(), response)),
                None => self.forget_gone(),
            }
        }
        responses
    }

    /// Calls one receiver after the other, whatever becomes of each, and parts with those that take too long.
    pub(super) async fn send_with_patience(
        &self,
        patience: Duration,
        value: T,
    ) -> Responses<Result<R, ReceiverError>> {
        let Some(sending) = self.begin(None, value) else {
            return Vec::new();
        };
        for subscriber in sending.subscribed() {
            if timeout(patience, subscriber.tell(&sending.event))
                .await
                .is_err()
            {
                subscriber.part_with();
            }
        }
        let mut responses = Vec::with_capacity(sending.receivers.len());
        for entry in sending.hearing() {
            let response = entry.receiver.call(&sending.event).response();
            match timeout(patience, response).await {
                Ok(Some(response)) => responses.push((entry.id.clone(), response)),
                Ok(None) => self.forget_gone(),
                Err(_) => {
                    self.disconnect(entry.id.clone());
                    responses.push((entry.id.clone(), Err(ReceiverError::TooSlow)));
                }
            }
        }
        responses
    }

    /// Calls one receiver after the other on this thread, unless one of them would have to be awaited.
    pub(super) fn send_at_once(
        &self,
        sender: Option<&Sender>,
        value: T,
    ) -> Result<Responses<R>, SignalError<R>> {
        let Some(sending) = self.begin(sender, value) else {
            return Ok(Vec::new());
        };
        let mut asynchronous = sending.hearing().filter(|entry| {
            let receiver = &entry.receiver;
            receiver.is_asynchronous && !receiver.is_gone()
        });
        if let Some(entry) = asynchronous.next() {
            let source = ReceiverError::Asynchronous;
            return Err(SignalError::new(&entry.id, Vec::new(), source));
        }
        if sending
            .subscribed()
            .any(|subscriber| subscriber.makes_wait())
        {
            let receiver = ReceiverId::from("a subscriber that is waited for");
            let source = ReceiverError::Asynchronous;
            return Err(SignalError::new(&receiver, Vec::new(), source));
        }
        for subscriber in sending.subscribed() {
            subscriber.tell_now(&sending.event);
        }
        let mut delivered = Vec::with_capacity(sending.receivers.len());
        for entry in sending.hearing() {
            match entry.receiver.call(&sending.event) {
                Received::Now(Ok(response)) => delivered.push((entry.id.clone(), response)),
                Received::Now(Err(source)) => {
                    return Err(SignalError::new(&entry.id, delivered, source));
                }
                // Asynchronous ones were refused above, or are gone.
                Received::Later(_) | Received::Gone => self.forget_gone(),
            }
        }
        Ok(delivered)
    }

    /// Looks who hears this; `None` if nobody does, and the event is not made.
    fn begin(&self, sender: Option<&Sender>, value: T) -> Option<Sending<T, R>> {
        let registry = self.registry.get()?;
        let (receivers, subscribers) = (registry.snapshot(), registry.subscribers.snapshot());
        let is_heard = receivers.iter().any(|entry| entry.hears(sender))
            || subscribers
                .iter()
                .any(|subscriber| subscriber.hears(sender));
        is_heard.then(|| Sending {
            receivers,
            subscribers,
            event: Event::new(value, sender.cloned()),
        })
    }
}

/// A signal that is being sent.
struct Sending<T, R> {
    receivers: Snapshot<T, R>,
    subscribers: roster::Snapshot<Subscriber<T>>,
    event: Event<T>,
}

impl<T, R> Sending<T, R> {
    /// Those who hear it, in the order in which they connected.
    fn hearing(&self) -> impl Iterator<Item = &Entry<T, R>> {
        let entries = self.receivers.iter().map(Arc::as_ref);
        entries.filter(|entry| entry.hears(self.event.sender()))
    }

    /// Those who have subscribed to it.
    fn subscribed(&self) -> impl Iterator<Item = &Subscriber<T>> {
        let subscribers = self.subscribers.iter().map(Arc::as_ref);
        subscribers.filter(|subscriber| subscriber.hears(self.event.sender()))
    }

    /// Queues it for those who have subscribed.
    async fn queue(&self) {
        for subscriber in self.subscribed() {
            subscriber.tell(&self.event).await;
        }
    }
}
