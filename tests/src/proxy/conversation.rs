//! Which reply belongs to which request of one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plan::Plan;
use super::resp;

/// What both directions of a connection know.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The client does not speak Redis' protocol: a piece counts as a message.
    is_opaque: bool,
    /// For each request without a reply: the planned text it contains, if its reply is to be dropped.
    pending: VecDeque<Option<Vec<u8>>>,
}

impl Conversation {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads along with the client.
pub(super) struct Requests<'a> {
    conversation: &'a Conversation,
    /// The beginning of a request; the server has it already.
    partial: Vec<u8>,
    is_first: bool,
}

impl<'a> Requests<'a> {
    pub(super) fn new(conversation: &'a Conversation) -> Self {
        Self { conversation, partial: Vec::new(), is_first: true }
    }

    /// Remembers the requests in a piece. To be called before the server gets it.
    pub(super) fn read(&mut self, piece: &[u8], plan: &Plan) {
        let mut state = self.conversation.state();
        if self.is_first {
            state.is_opaque = !resp::is_spoken(piece[0]);
            self.is_first = false;
        }
        if state.is_opaque {
            state.pending.extend(plan.drop_for(piece).map(Some));
            return;
        }
        self.partial.extend_from_slice(piece);
        while let Some(length) = resp::message(&self.partial) {
            let request: Vec<u8> = self.partial.drain(..length).collect();
            // The text of a script contains what its calls contain.
            let drop = if resp::loads_script(&request) { None } else { plan.drop_for(&request) };
            state.pending.push_back(drop);
        }
    }
}

/// Decides what of the server's replies the client gets.
pub(super) struct Replies<'a> {
    conversation: &'a Conversation,
    /// The beginning of a reply; the client does not have it yet.
    partial: Vec<u8>,
}

impl<'a> Replies<'a> {
    pub(super) fn new(conversation: &'a Conversation) -> Self {
        Self { conversation, partial: Vec::new() }
    }

    /// What of a piece is to be passed on, and whether the connection ends there for want of a reply.
    pub(super) fn pass(&mut self, piece: &[u8], plan: &Plan) -> (Vec<u8>, bool) {
        let mut state = self.conversation.state();
        if state.is_opaque {
            let drops = state.pending.pop_front().is_some();
            return if drops { (Vec::new(), true) } else { (piece.to_vec(), false) };
        }
        self.partial.extend_from_slice(piece);
        let mut passes = Vec::new();
        while let Some(length) = resp::message(&self.partial) {
            let reply: Vec<u8> = self.partial.drain(..length).collect();
            match state.pending.pop_front().flatten() {
                Some(text) if resp::ran_nothing(&reply) => plan.arm_drop(text, 1),
                Some(_) => return (passes, true),
                None => {}
            }
            passes.extend_from_slice(&reply);
        }
        (passes, false)
    }
}
