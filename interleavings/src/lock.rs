pub(crate) mod kernel_lock;
#[path = "../../src/lock/kernel_queue.rs"]
pub(crate) mod kernel_queue;
pub(crate) mod wait;
