//! Every case of the suites on tokio, on one thread and on several.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::Future;

use adapter_tokio::TokioRuntime;
use testkit::suite::{OnSystem, SystemHost};
use tokio::runtime::{Builder, Handle, Runtime};

/// tokio with so many worker threads; none is the thread of the test alone.
struct Tokio<const THREADS: usize>;

impl<const THREADS: usize> OnSystem for Tokio<THREADS> {
    type Runtime = TokioRuntime;
    type Thread = Runtime;

    fn run(case: impl Future<Output = ()>) {
        let mut builder = match THREADS {
            0 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let builder = builder.worker_threads(THREADS.max(1)).enable_all();
        builder.build().unwrap().block_on(case);
    }

    fn tasks() -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    fn thread() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn runtime_of(thread: &Runtime) -> TokioRuntime {
        TokioRuntime::new(thread.handle().clone())
    }

    fn block_on<T>(thread: &Runtime, future: impl Future<Output = T>) -> T {
        thread.block_on(future)
    }
}

mod one_thread {
    use super::{SystemHost, Tokio};
    testkit::suite!(SystemHost<Tokio<0>>);
    testkit::adapter_suite!(SystemHost<Tokio<0>>);
    testkit::runtime_suite!(SystemHost<Tokio<0>>);
    testkit::examples_suite!(SystemHost<Tokio<0>>);
}

mod many_threads {
    use super::{SystemHost, Tokio};
    testkit::crossing_suite!(SystemHost<Tokio<2>>);
    testkit::adapter_suite!(SystemHost<Tokio<2>>);
    testkit::runtime_suite!(SystemHost<Tokio<2>>);
}
