#[path = "../../src/util/cancel.rs"]
pub(crate) mod cancel;
#[path = "../../src/util/thread_pool.rs"]
pub(crate) mod thread_pool;
