//! Every case of the suites on async-std, on one thread and on its own threads.

use std::future::Future;

use adapter_async_std::{AsyncStdRuntime, SingleThread};
use testkit::suite::{Counting, OnSystem, SystemHost};

/// async-std, either on the thread of the test alone or on its own threads.
struct AsyncStd<const OWN_THREADS: bool>;

impl<const OWN_THREADS: bool> OnSystem for AsyncStd<OWN_THREADS> {
    type Runtime = Counting<AsyncStdRuntime>;
    type Thread = SingleThread;

    fn run(case: impl Future<Output = ()>) {
        Self::Runtime::begin();
        match OWN_THREADS {
            false => SingleThread::new().block_on(case),
            true => async_std::task::block_on(case),
        }
    }

    fn tasks() -> usize {
        Self::Runtime::tasks()
    }

    fn thread() -> SingleThread {
        SingleThread::new()
    }

    fn runtime_of(thread: &SingleThread) -> Self::Runtime {
        Counting::new(thread.runtime())
    }

    fn block_on<T>(thread: &SingleThread, future: impl Future<Output = T>) -> T {
        thread.block_on(future)
    }
}

mod one_thread {
    use super::{AsyncStd, SystemHost};
    testkit::suite!(SystemHost<AsyncStd<false>>);
    testkit::adapter_suite!(SystemHost<AsyncStd<false>>);
    testkit::runtime_suite!(SystemHost<AsyncStd<false>>);
    testkit::examples_suite!(SystemHost<AsyncStd<false>>);
}

mod many_threads {
    use super::{AsyncStd, SystemHost};
    testkit::crossing_suite!(SystemHost<AsyncStd<true>>);
    testkit::adapter_suite!(SystemHost<AsyncStd<true>>);
    testkit::runtime_suite!(SystemHost<AsyncStd<true>>);
}
