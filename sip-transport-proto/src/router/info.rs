//! Information about connections.

use super::Router;
use super::connections::ConnectionRecord;
use super::shares::Standing;
use crate::connection::info::ConnectionInfo;
use crate::endpoint::SipEndpoint;
use crate::ids::ConnectionId;

fn info(id: ConnectionId, record: &ConnectionRecord) -> ConnectionInfo {
    ConnectionInfo {
        id,
        remote: SipEndpoint {
            protocol: record.protocol,
            addr: record.remote,
            channel: Some(record.channel),
            connection: Some(id),
        },
        local: record.local,
        accepted: record.accepted,
        state: record.state,
        silent: record.standing == Standing::Silent,
        trusted: record.standing == Standing::Trusted,
        since: record.since,
        connected: None,
        opened: None,
        active: record.active,
        queued: 0,
        identity: record.identity.clone(),
    }
}

impl Router {
    /// The open and opening connections.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.connections.iter().map(|(id, record)| info(id, record))
    }

    /// Information about a connection.
    pub fn connection(&self, id: ConnectionId) -> Option<ConnectionInfo> {
        self.connections.get(id).map(|record| info(id, record))
    }
}
