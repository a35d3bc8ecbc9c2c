//! The layers of a new connection: the settings that TLS and WebSocket start from.

use core::net::SocketAddr;
use std::time::Instant;

use super::Router;
use super::channels::ChannelChoice;
use super::dispatch::ConnectNeeds;
use crate::config::ChannelConfig;
use crate::connection::proxy::Header;
use crate::connection::{LayerSetup, TlsSide, WebSocketSide};
use crate::error::{ChannelError, SendCause};
use crate::ids::ChannelId;
use crate::outgoing::options::SendOptions;
use crate::protocol::Protocol;
use crate::resolve::Target;
use crate::tls::{TlsChoice, TlsConfig};
use crate::websocket::{WebSocketConfig, WebSocketLimits};

impl Router {
    /// Checks that a channel has the certificate that its listener needs.
    pub(super) fn check_certificate(&self, config: &ChannelConfig) -> Result<(), ChannelError> {
        let is_server = config.tls.as_ref().is_some_and(TlsConfig::is_server);
        if config.listener && config.protocol.is_secure() && !is_server {
            return Err(ChannelError::NoCertificate(config.protocol));
        }
        Ok(())
    }

    /// Checks that a channel made on demand could connect.
    pub(super) fn check_client(
        &self,
        protocol: Protocol,
        options: &SendOptions,
    ) -> Result<(), SendCause> {
        if protocol.is_secure() {
            let tls = self.client_tls(None, options).client();
            tls.ok_or(SendCause::NoTlsConfig)?;
        }
        Ok(())
    }

    /// The layers of a connection that was accepted.
    pub(super) fn server_layers(
        &self,
        channel: ChannelId,
        (protocol, remote): (Protocol, SocketAddr),
    ) -> LayerSetup {
        let proxy = self.awaited_header(channel, remote.ip());
        let mut plan = LayerSetup {
            proxy: proxy.map(Header::of),
            ..LayerSetup::default()
        };
        if protocol.is_secure() {
            let config = self.tls_of(channel).cloned();
            plan.tls = config.map(|config| TlsSide::Server(config, protocol));
        }
        if protocol.is_websocket() {
            let settings = self.websocket_of(channel);
            plan.websocket =
                settings.map(|(config, limits)| (WebSocketSide::Server(config), limits));
        }
        plan
    }

    /// The layers of a connection that is to be opened.
    pub(super) fn client_layers(
        &mut self,
        channel: ChannelId,
        target: &Target,
        needs: &ConnectNeeds,
    ) -> Result<LayerSetup, SendCause> {
        let mut plan = LayerSetup::default();
        if target.protocol.is_secure() {
            let name = target.tls_name.clone().ok_or(SendCause::NoTlsName)?;
            let config = self.client_tls(Some(channel), &needs.options).client();
            let Some(config) = config.cloned() else {
                return Err(SendCause::NoTlsConfig);
            };
            plan.tls = Some(TlsSide::Client(config, target.protocol, name));
        }
        if target.protocol.is_websocket()
            && let Some((config, limits)) = self.websocket_of(channel)
        {
            let host = match &needs.name {
                Some(name) => name.to_string(),
                None => target.addr.ip().to_string(),
            };
            let side = WebSocketSide::Client {
                config,
                host: with_port(host, target),
                seed: self.tokens.array(),
            };
            plan.websocket = Some((side, limits));
        }
        Ok(plan)
    }

    /// The TLS configuration under which a connection is opened on a channel, or on one made for
    /// it: that of the send, if it gives one.
    pub(super) fn client_tls<'a>(
        &'a self,
        channel: Option<ChannelId>,
        options: &'a SendOptions,
    ) -> &'a TlsChoice {
        if options.tls.is_given() {
            return &options.tls;
        }
        let channel = channel.and_then(|id| self.channels.get(id));
        channel.map_or(&self.client_tls, |channel| &channel.client_tls)
    }

    /// The same for the channel that would be chosen. `None` if that depends on the local address.
    pub(super) fn client_tls_towards<'a>(
        &'a self,
        now: Instant,
        target: &Target,
        hinted: Option<ChannelId>,
        options: &'a SendOptions,
    ) -> Option<&'a TlsChoice> {
        if options.tls.is_given() || hinted.is_some() {
            return Some(self.client_tls(hinted, options));
        }
        let (protocol, remote) = (target.protocol, target.addr.ip());
        let local = self.queries.local_address(now, remote);
        match self.channels.choose(protocol, remote, local) {
            ChannelChoice::Channel(id) => Some(self.client_tls(Some(id), options)),
            ChannelChoice::None => Some(&self.client_tls),
            ChannelChoice::NeedsLocal => {
                let all = self.channels.towards(protocol, remote);
                let mut all = all.map(|channel| &channel.client_tls);
                let first = all.next()?;
                all.all(|other| other.same_as(first)).then_some(first)
            }
        }
    }

    fn tls_of(&self, channel: ChannelId) -> Option<&TlsConfig> {
        self.channels.get(channel)?.config.tls.as_ref()
    }

    fn websocket_of(&self, channel: ChannelId) -> Option<(WebSocketConfig, WebSocketLimits)> {
        let channel = self.channels.get(channel);
        let own = channel.and_then(|channel| channel.config.websocket.as_ref());
        self.context.config.websocket_of(own)
    }
}

/// The Host header of an upgrade: without a port where it is the default (RFC 6455 §4.1).
fn with_port(host: String, target: &Target) -> String {
    let port = target.addr.port();
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    if port == target.protocol.default_port() {
        host
    } else {
        format!("{host}:{port}")
    }
}
