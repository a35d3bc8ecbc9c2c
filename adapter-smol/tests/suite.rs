//! Every case of the suites on smol, on one thread and on its own threads.

use std::future::Future;

use adapter_smol::{SingleThread, SmolRuntime};
use testkit::suite::{Counting, OnSystem, SystemHost};

/// smol, either on the thread of the test alone or on its own threads.
struct Smol<const OWN_THREADS: bool>;

impl<const OWN_THREADS: bool> OnSystem for Smol<OWN_THREADS> {
    type Runtime = Counting<SmolRuntime>;
    type Thread = SingleThread;

    const IS_ANYWHERE: bool = true;

    fn run(case: impl Future<Output = ()>) {
        Self::Runtime::begin();
        match OWN_THREADS {
            false => SingleThread::new().block_on(case),
            true => smol::block_on(case),
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
    use super::{Smol, SystemHost};
    testkit::suite!(SystemHost<Smol<false>>);
    testkit::adapter_suite!(SystemHost<Smol<false>>);
    testkit::runtime_suite!(SystemHost<Smol<false>>);
    testkit::examples_suite!(SystemHost<Smol<false>>);
}

mod many_threads {
    use super::{Smol, SystemHost};
    testkit::crossing_suite!(SystemHost<Smol<true>>);
    testkit::runtime_suite!(SystemHost<Smol<true>>);
}
