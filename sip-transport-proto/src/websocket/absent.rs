//! Stand-ins for WebSocket when the feature `ws` is disabled: types without values, so that the same code
//! compiles with and without it.

#[derive(Clone, Debug)]
pub(crate) enum WebSocketConfig {}

#[derive(Clone, Copy, Debug)]
pub(crate) enum WebSocketLimits {}

#[derive(Debug)]
pub(crate) enum UpgradeCheck {}

impl UpgradeCheck {
    pub(crate) fn run(&self) -> Result<(), Refusal> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Refusal {}

impl Refusal {
    pub(crate) fn is_panic(&self) -> bool {
        match *self {}
    }
}
