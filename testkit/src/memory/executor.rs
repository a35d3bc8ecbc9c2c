use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use adapter_core::runtime::BoxFuture;
use futures_channel::oneshot;
use sip_transport_proto::sim::{HostId, Link, Network};

use super::MemoryRuntime;
use super::faults::TaskEnded;
use super::world::World;

/// A network in memory and the tasks that run on its hosts.
///
/// Dropping it drops the tasks.
pub struct Simulation(Arc<Shared>);

/// What hosts, sockets and wakers share.
pub(super) struct Shared {
    world: Mutex<World>,
    tasks: Mutex<Tasks>,
    run: Arc<RunQueue>,
}

#[derive(Default)]
struct Tasks {
    /// A task that is being polled is `None`.
    tasks: BTreeMap<u64, (HostId, Option<BoxFuture<()>>)>,
    next: u64,
    ended: bool,
}

/// The tasks that were woken.
#[derive(Default)]
struct RunQueue {
    inner: Mutex<Runnable>,
    woken: Condvar,
}

#[derive(Default)]
struct Runnable {
    tasks: Vec<u64>,
    /// Threads outside that may still wake a task.
    outside: usize,
}

/// The future given to `block_on`; tasks count from 1.
const MAIN: u64 = 0;
/// How long a thread outside has, in real time, before virtual time goes on: little if that is
/// what the thread may wait for, more if a deadline is all that there is.
const OUTSIDE: Duration = Duration::from_millis(1);
const OUTSIDE_FAR: Duration = Duration::from_secs(10);
const FAR: Duration = Duration::from_secs(1);
/// A program that does more than that without an end never will end.
const MAX_STEPS: usize = 10_000_000;

thread_local! {
    static CURRENT: RefCell<Option<MemoryRuntime>> = const { RefCell::new(None) };
}

/// The host whose task runs on this thread.
pub(super) fn current() -> Option<MemoryRuntime> {
    CURRENT.with_borrow(Clone::clone)
}

impl Simulation {
    /// An empty network. All chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            world: Mutex::new(World::new(seed, Instant::now())),
            tasks: Mutex::default(),
            run: Arc::default(),
        }))
    }

    /// Adds a host with these addresses, and loopback.
    pub fn add_host(&self, name: &str, addresses: &[std::net::IpAddr]) -> MemoryRuntime {
        let host = self.network(|network| network.add_host(name, addresses));
        MemoryRuntime::new(Arc::clone(&self.0), host)
    }

    /// The network, to set links, names and limits, or to read the trace.
    pub fn network<T>(&self, call: impl FnOnce(&mut Network) -> T) -> T {
        call(&mut self.0.world().network)
    }

    /// Says how packets travel where no other link is set.
    pub fn set_default_link(&self, link: Link) {
        self.network(|network| network.set_default_link(link));
    }

    /// The probability that sending datagrams says `WouldBlock`, for 1 ms.
    pub fn set_datagram_would_block(&self, probability: f64) {
        self.0.world().datagram_would_block = probability;
    }

    /// Has the system refuse longer datagrams, as Linux does (EMSGSIZE).
    pub fn set_longest_datagram(&self, bytes: usize) {
        self.0.world().longest_datagram = bytes;
    }

    /// How many tasks there are, on all hosts.
    pub fn tasks(&self) -> usize {
        lock(&self.0.tasks).tasks.len()
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let tasks = {
            let mut tasks = lock(&self.0.tasks);
            tasks.ended = true;
            std::mem::take(&mut tasks.tasks)
        };
        drop(tasks);
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    pub(super) fn spawn(&self, host: HostId, task: BoxFuture<()>) {
        let mut tasks = lock(&self.tasks);
        if tasks.ended {
            return;
        }
        tasks.next += 1;
        let id = tasks.next;
        tasks.tasks.insert(id, (host, Some(task)));
        drop(tasks);
        self.run.push(id);
    }

    /// Runs `main` to its end, and all tasks meanwhile.
    pub(super) fn block_on<T>(self: &Arc<Self>, host: HostId, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.run.push(MAIN);
        for _ in 0..MAX_STEPS {
            let Some(id) = self.next_task() else {
                self.wait_or_step();
                continue;
            };
            if id == MAIN {
                let _entered = self.enter(host);
                let waker = self.waker(MAIN);
                if let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return value;
                }
            } else {
                self.poll_task(id);
            }
        }
        panic!("a task is busy for ever");
    }

    /// Any of the tasks that can run: which one is left to chance.
    fn next_task(&self) -> Option<u64> {
        let mut run = lock(&self.run.inner);
        let choice = match run.tasks.len() {
            0 => return None,
            1 => 0,
            count => self.world().draw(count),
        };
        Some(run.tasks.remove(choice))
    }

    fn poll_task(self: &Arc<Self>, id: u64) {
        let Some((host, task)) = lock(&self.tasks)
            .tasks
            .get_mut(&id)
            .map(|(host, task)| (*host, task.take()))
        else {
            return;
        };
        let Some(mut task) = task else {
            return;
        };
        let _entered = self.enter(host);
        let waker = self.waker(id);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        }));
        let ended = polled.unwrap_or_else(|panic| match panic.downcast::<TaskEnded>() {
            Ok(_) => true,
            Err(panic) => resume_unwind(panic),
        });
        if ended {
            lock(&self.tasks).tasks.remove(&id);
        } else if let Some((_, slot)) = lock(&self.tasks).tasks.get_mut(&id) {
            *slot = Some(task);
        }
    }

    fn wait_or_step(&self) {
        if self.world().tell_next() {
            return;
        }
        // A thread outside takes real time, in which no virtual time should go by.
        let far = self.world().next_step_in().is_none_or(|time| time > FAR);
        let patience = if far { OUTSIDE_FAR } else { OUTSIDE };
        if self.run.wait_for_threads(patience) || self.world().advance() {
            return;
        }
        if lock(&self.run.inner).outside == 0 {
            let world = self.world();
            let lines = world.network.trace().lines();
            let from = lines.len().saturating_sub(20);
            let last = lines.get(from..).unwrap_or_default().join("\n");
            drop(world);
            panic!("nothing can run and nothing is due: a wake-up was lost\n{last}");
        }
    }

    fn waker(&self, task: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker {
            run: Arc::clone(&self.run),
            task,
        }))
    }

    fn enter(self: &Arc<Self>, host: HostId) -> Entered {
        let runtime = MemoryRuntime::new(Arc::clone(self), host);
        Entered(CURRENT.with_borrow_mut(|current| current.replace(runtime)))
    }

    /// Runs `call` on a thread of its own.
    pub(super) fn outside<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let run = Arc::clone(&self.run);
        lock(&run.inner).outside += 1;
        thread::spawn(move || {
            drop(sender.send(call()));
            lock(&run.inner).outside -= 1;
            run.woken.notify_all();
        });
        receiver
    }
}

impl RunQueue {
    fn push(&self, task: u64) {
        let mut inner = lock(&self.inner);
        if !inner.tasks.contains(&task) {
            inner.tasks.push(task);
            self.woken.notify_all();
        }
    }

    /// Gives threads outside a moment to wake a task. True if one was woken.
    fn wait_for_threads(&self, patience: Duration) -> bool {
        let inner = lock(&self.inner);
        if inner.outside == 0 {
            return !inner.tasks.is_empty();
        }
        let waited = self.woken.wait_timeout_while(inner, patience, |inner| {
            inner.tasks.is_empty() && inner.outside > 0
        });
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !inner.tasks.is_empty()
    }
}

struct TaskWaker {
    run: Arc<RunQueue>,
    task: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.run.push(self.task);
    }
}

/// While it lives, its host is the current one.
struct Entered(Option<MemoryRuntime>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
