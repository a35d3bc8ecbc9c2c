//! The state machine that a simulated host runs.

use core::net::{IpAddr, SocketAddr};
use std::io::ErrorKind;
use std::time::Instant;

use crate::config::advertised::Advertised;
use crate::config::{ChannelConfig, Config};
use crate::error::{AcceptError, ChannelError, SendError};
use crate::ids::{ChannelId, ConnectionId, QueryId, SendId, SocketId};
use crate::outgoing::Outgoing;
use crate::outgoing::outcome::Submitted;
use crate::outgoing::sent::{NextError, Sent};
use crate::resolve::{Answer, Family, LookupId};
use crate::router::Router;
use crate::transport::{Output, Transport};

macro_rules! machine {
    ($(fn $name:ident(&mut self $(, $arg:ident: $type:ty)*) $(-> $out:ty)?;)+) => {
        /// The state machine that a [`World`](super::World) runs on a host: a [`Transport`], or one
        /// of your own with the same inputs and outputs, such as a router and connections driven by
        /// hand. Each method does what the method of that name does there.
        pub trait Machine {
            /// A state machine without channels.
            fn new(config: Config, seed: [u8; 32]) -> Self;
            /// See [`Transport::router`].
            fn router(&self) -> &Router;
            /// See [`Transport::recv_capacity`].
            fn recv_capacity(&self, connection: ConnectionId) -> usize;
            /// See [`Transport::transmit`].
            fn transmit(&self, connection: ConnectionId) -> &[u8];
            $(
                #[doc = concat!("See [`Transport::", stringify!($name), "`].")]
                fn $name(&mut self $(, $arg: $type)*) $(-> $out)?;
            )+
        }

        impl Machine for Transport {
            fn new(config: Config, seed: [u8; 32]) -> Self {
                Self::new(config, seed)
            }

            fn router(&self) -> &Router {
                self.router()
            }

            fn recv_capacity(&self, connection: ConnectionId) -> usize {
                self.recv_capacity(connection)
            }

            fn transmit(&self, connection: ConnectionId) -> &[u8] {
                self.transmit(connection)
            }

            $(
                fn $name(&mut self $(, $arg: $type)*) $(-> $out)? {
                    self.$name($($arg),*)
                }
            )+
        }
    };
}

machine! {
    fn add_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, ChannelError>;
    fn remove_channel(&mut self, now: Instant, id: ChannelId) -> Result<(), ChannelError>;
    fn advertise(
        &mut self, now: Instant, channel: ChannelId, family: Family, advertised: Option<Advertised>
    ) -> Result<(), ChannelError>;
    fn send(&mut self, now: Instant, outgoing: Box<Outgoing>) -> Result<Submitted, SendError>;
    fn try_next(&mut self, now: Instant, sent: Sent) -> Result<Box<Outgoing>, NextError>;
    fn trust(&mut self, connection: ConnectionId) -> bool;
    fn close(&mut self, now: Instant, connection: ConnectionId) -> bool;
    fn shutdown(&mut self, now: Instant);
    fn handle_datagram(
        &mut self, now: Instant, socket: SocketId, remote: SocketAddr, local_ip: Option<IpAddr>,
        data: &[u8]
    );
    fn handle_datagram_failed(
        &mut self, now: Instant, send: Option<SendId>, remote: SocketAddr, kind: ErrorKind
    );
    fn handle_accepted(
        &mut self, now: Instant, channel: ChannelId, local: SocketAddr, remote: SocketAddr
    ) -> Result<ConnectionId, AcceptError>;
    fn handle_connected(&mut self, now: Instant, connection: ConnectionId, local: SocketAddr);
    fn handle_error(&mut self, connection: ConnectionId, kind: ErrorKind);
    fn handle_data(&mut self, now: Instant, connection: ConnectionId, data: &[u8]) -> usize;
    fn handle_eof(&mut self, connection: ConnectionId);
    fn handle_written(&mut self, now: Instant, connection: ConnectionId, n: usize);
    fn handle_bound(
        &mut self, now: Instant, channel: ChannelId, result: Result<SocketAddr, ErrorKind>
    );
    fn handle_lookup(&mut self, now: Instant, id: LookupId, answer: Answer);
    fn handle_local_address(
        &mut self, now: Instant, query: QueryId, result: Result<IpAddr, ErrorKind>
    );
    fn handle_timeout(&mut self, now: Instant);
    fn poll_output(&mut self, now: Instant) -> Output;
}
