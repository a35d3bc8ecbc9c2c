//! What stands for WebSocket where the feature is left out: types that have no values, so that code
//! which may meet it is the same with it and without.

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
