//! sip-transport-proto
