//! By which names a text has the members of a value.

/// By which names a text has the members of the value that is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By those that are printed. Members with other names are unknown.
    Printed,
    /// By others, too (serde's `alias`). A member that was changed and that the text lacks takes the place of
    /// the first unknown one that may have its value. That may be the wrong one: the caller has to check the
    /// value of the rewritten text.
    Others,
}
