//! Process groups: which processes are ours, and that none outlives us.
//!
//! A small shell reads the numbers of our groups from a pipe. When the pipe ends, in whatever way we ended (SIGKILL included),
//! it signals the groups that are left.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const REAPER: &str = r#"
groups=" "
while read -r verb id; do
  case $verb in
    add) groups="$groups$id " ;;
    del) before=${groups%%" $id "*}; after=${groups#*" $id "}; groups="$before $after" ;;
  esac
done
for id in $groups; do kill -s "$1" -- "-$id" 2>/dev/null; done"#;

/// How far up the line of parents is looked: deeper nests are not ours to know.
const ANCESTORS: usize = 64;

/// The groups that are alive.
#[derive(Debug)]
pub(crate) struct Groups {
    leaders: Mutex<BTreeSet<u32>>,
    reaper: Mutex<Option<ChildStdin>>,
}

/// A process group that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    leader: u32,
    groups: Arc<Groups>,
    kills: bool,
}

impl Groups {
    /// Groups that get `last` (a signal's name without `SIG`) when we are gone.
    pub(crate) fn start(last: &str) -> Self {
        let reaper = std::process::Command::new("/bin/sh")
            .args(["-c", REAPER, "reaper", last])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        if let Err(error) = &reaper {
            tracing::warn!(%error, "processes may outlive a killed sandbox");
        }
        Self { leaders: Mutex::default(), reaper: Mutex::new(reaper.ok().and_then(|child| child.stdin)) }
    }

    /// Takes the group that `leader` leads into our care.
    pub(crate) fn adopt(self: &Arc<Self>, leader: u32) -> Group {
        self.leaders().insert(leader);
        self.tell("add", leader);
        Group { leader, groups: Arc::clone(self), kills: true }
    }

    /// Whether `pid` belongs to one of our groups, or a parent of it does.
    pub(crate) fn owns(&self, pid: u32) -> bool {
        let leaders = self.leaders().clone();
        let line = std::iter::successors(Some(pid), |pid| parents(*pid).map(|(parent, _)| parent));
        line.take(ANCESTORS).take_while(|pid| *pid > 1).any(|pid| {
            leaders.contains(&pid) || parents(pid).is_some_and(|(_, group)| leaders.contains(&group))
        })
    }

    fn tell(&self, verb: &str, leader: u32) {
        let mut reaper = self.reaper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = reaper.as_mut()
            && let Err(error) = writeln!(pipe, "{verb} {leader}")
        {
            tracing::warn!(%error, "the reaper is gone: processes may outlive a killed sandbox");
            *reaper = None;
        }
    }

    fn leaders(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// Sends a signal to every process of the group.
    pub(crate) fn signal(&self, signal: Signal) {
        // No such process: it has ended already, which is what signals are for here.
        killpg(pid(self.leader), signal).ok();
    }
}

impl Group {
    /// For a process that knows how to end by itself when it is dropped: only our own sudden death is our matter.
    pub(crate) fn ends_itself(mut self) -> Self {
        self.kills = false;
        self
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.kills {
            for child in descendants(self.leader) {
                kill(pid(child), Signal::SIGKILL).ok();
            }
            self.signal(Signal::SIGKILL);
        }
        self.groups.tell("del", self.leader);
        self.groups.leaders().remove(&self.leader);
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap_or(i32::MAX))
}

/// The parent and the process group of a process, from `/proc/PID/stat`.
fn parents(pid: u32) -> Option<(u32, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may itself contain spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The processes below `leader` by parentage: those that left the group by `setsid` too, while their parents live.
fn descendants(leader: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> =
        processes().filter_map(|pid| parents(pid).map(|(parent, _)| (pid, parent))).collect();
    let mut found = vec![leader];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            processes.iter().filter(|(pid, of)| *of == parent && *pid != parent).map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}

/// Every process that `/proc` shows.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sleeper() -> std::process::Child {
        std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 60 & wait"])
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn a_dropped_group_leaves_nothing_behind() {
        let groups = Arc::new(Groups::start("KILL"));
        let mut child = sleeper();
        let group = groups.adopt(child.id());
        let mut below = Vec::new();
        for _ in 0..500 {
            below = descendants(child.id());
            if !below.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(groups.owns(below[0]), "{below:?}");
        drop(group);
        child.wait().unwrap();
        assert!(!groups.owns(below[0]));
    }

    #[tokio::test]
    async fn groups_die_with_us_even_when_nobody_drops_them() {
        let groups = Arc::new(Groups::start("KILL"));
        let mut child = sleeper();
        let group = groups.adopt(child.id());
        // As if we had been killed: no destructor of the group runs, only the pipe ends.
        std::mem::forget(group);
        *groups.reaper.lock().unwrap() = None;
        for _ in 0..500 {
            if child.try_wait().unwrap().is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the group lives on");
    }

    #[test]
    fn our_own_process_is_not_an_apps() {
        assert!(!Groups::start("KILL").owns(std::process::id()));
    }
}
