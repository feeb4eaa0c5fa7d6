//! What goes wrong.

use std::time::Duration;

use crate::random::Random;
use crate::world::World;

/// The kinds of faults.
pub(crate) const FAULTS: [&str; 10] = [
    "cut",
    "cut and again",
    "cut at byte",
    "one end cut",
    "silence",
    "partition",
    "one way",
    "delay",
    "lost",
    "restart",
];

/// The first of those after which sessions may be lost.
const LOSES: usize = 8;

/// Who is connected to whom.
const LINKS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

/// How long a session needs at most to have a connection again once there is one to be had.
const RECOVERY: Duration = Duration::from_secs(6);

/// Has things go wrong, one after the other.
pub(crate) async fn strike(world: &World, seed: u64) {
    let mut random = Random::new(seed, 1);
    // Whatever is said takes its time.
    for (one, other) in LINKS {
        world.link(one, other).set_delay(random.millis(1, 60));
    }
    let gentle = 3 + random.below(4);
    // Some programs never lose a session, and nothing of them may fail.
    let severe = random.below(3);
    for round in 0..gentle + severe {
        tokio::time::sleep(random.millis(50, 3000)).await;
        let fault = match round < gentle {
            true => random.below(LOSES),
            false => LOSES + random.below(FAULTS.len() - LOSES),
        };
        let one = random.below(3);
        let other = (one + 1 + random.below(2)) % 3;
        let model = world.model();
        model.note(|| format!("fault {} {one} {other}", FAULTS[fault]));
        model.strike(fault, fault >= LOSES);
        let link = world.link(one, other);
        match fault {
            0 => link.cut(),
            1 => {
                // Also while the session is being resumed.
                for _ in 0..2 + random.below(5) {
                    link.cut();
                    tokio::time::sleep(random.millis(0, 400)).await;
                }
            }
            2 => link.cut_after(world.host(one), 1 + random.below(3000)),
            3 => link.cut_at(world.host(one)),
            4 => link.silence(),
            5 => {
                link.partition();
                tokio::time::sleep(random.millis(10, 7000)).await;
                link.heal();
            }
            6 => {
                link.block(world.host(one));
                tokio::time::sleep(random.millis(10, 7000)).await;
                link.heal();
            }
            7 => link.set_delay(random.millis(1, 800)),
            8 => {
                link.partition();
                tokio::time::sleep(random.millis(24_000, 28_000)).await;
                link.heal();
            }
            _ => {
                world.crash(one).await;
                tokio::time::sleep(random.millis(0, 5000)).await;
                world.start(one).await;
            }
        }
        tokio::time::sleep(RECOVERY).await;
    }
    for (one, other) in LINKS {
        world.link(one, other).set_delay(Duration::ZERO);
    }
}
