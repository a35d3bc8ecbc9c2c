// An event that a case did not ask for comes back as it is.
#![allow(clippy::result_large_err)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use sip_transport_proto::error::CloseReason;
use sip_transport_proto::sip_core::message::{ParseError, Request, Response};
use sip_transport_proto::{ConnectionId, Event, SipEndpoint};

use super::Endpoint;

/// Both results, once both are there.
pub async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// The result that is there first.
pub(super) async fn first<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => b.as_mut().poll(cx),
    })
    .await
}

/// The next event that `pick` takes; others are dropped if they are about connections.
async fn next<T>(endpoint: &mut impl Endpoint, pick: impl Fn(Event) -> Result<T, Event>) -> T {
    loop {
        let Some(event) = endpoint.event().await else {
            panic!("the transport ended");
        };
        match pick(event) {
            Ok(value) => return value,
            Err(Event::ConnectionOpened { .. } | Event::ConnectionClosed { .. }) => {}
            Err(other) => panic!("unexpected: {other:?}"),
        }
    }
}

/// The next request, with where it arrived and where it came from.
///
/// # Panics
/// Another message comes, or something failed.
pub async fn next_request(endpoint: &mut impl Endpoint) -> (SipEndpoint, SipEndpoint, Request) {
    next(endpoint, |event| match event {
        Event::Request {
            local,
            remote,
            request,
        } => Ok((local, remote, request)),
        other => Err(other),
    })
    .await
}

/// The next response, with where it arrived and where it came from.
///
/// # Panics
/// Another message comes, or something failed.
pub async fn next_response(endpoint: &mut impl Endpoint) -> (SipEndpoint, SipEndpoint, Response) {
    next(endpoint, |event| match event {
        Event::Response {
            local,
            remote,
            response,
        } => Ok((local, remote, response)),
        other => Err(other),
    })
    .await
}

/// The next word of something malformed.
///
/// # Panics
/// A message comes, or something failed.
pub async fn next_malformed(endpoint: &mut impl Endpoint) -> ParseError {
    next(endpoint, |event| match event {
        Event::Malformed { error, .. } => Ok(error),
        other => Err(other),
    })
    .await
}

/// The next connection that closed, and why.
///
/// # Panics
/// A message comes, or something failed.
pub async fn next_closed(endpoint: &mut impl Endpoint) -> (ConnectionId, CloseReason) {
    next(endpoint, |event| match event {
        Event::ConnectionClosed {
            connection, reason, ..
        } => Ok((connection, reason)),
        other => Err(other),
    })
    .await
}

/// The next connection that opened: both ends, and whether the peer opened it.
///
/// # Panics
/// A message comes, or something failed.
pub async fn next_opened(endpoint: &mut impl Endpoint) -> (SipEndpoint, SipEndpoint, bool) {
    next(endpoint, |event| match event {
        Event::ConnectionOpened {
            local,
            remote,
            accepted,
            ..
        } => Ok((local, remote, accepted)),
        other => Err(other),
    })
    .await
}
