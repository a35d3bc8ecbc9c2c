//! What adapter-core says through `tracing`.
#![allow(clippy::unwrap_used)]

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use adapter_core::SipTransport;
use adapter_core::runtime::sys;
use adapter_core::sip_transport_proto::Config;
use adapter_core::sip_transport_proto::trace::LIMIT;
use testkit::memory::Simulation;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

/// Writes down what is said of limits, with its level.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        match name {
            "message" => write!(self.0, " {value:?}").unwrap(),
            _ => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == LIMIT
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is said when a transport begins that may have so many connections.
fn said(max_connections: usize) -> Vec<String> {
    let listener = Listener::default();
    let simulation = Simulation::new(1);
    let host = simulation.add_host("alice", &["192.0.2.1".parse::<IpAddr>().unwrap()]);
    subscriber::with_default(listener.clone(), || {
        host.block_on(async {
            let mut config = Config::default();
            config.max_connections(max_connections).unwrap();
            let builder = SipTransport::builder().config(config);
            let builder = builder.worker_runtimes([host.clone()]);
            builder.bind().await.unwrap();
        });
    });
    std::mem::take(&mut listener.0.lock().unwrap())
}

#[test]
fn what_the_limit_of_open_files_allows_is_said_and_a_warning_where_that_is_less_than_the_setting() {
    let Some(limit) = sys::descriptor_limit() else {
        return;
    };
    let connections = limit - (limit / 4).min(256);
    assert_eq!(
        said(limit),
        [format!(
            "WARN the limit of open files allows fewer connections than max_connections says \
             open_files={limit} connections={connections} wanted={limit}"
        )]
    );
    assert_eq!(
        said(connections),
        [format!(
            "INFO the limit of open files suffices open_files={limit} connections={connections}"
        )]
    );
}
