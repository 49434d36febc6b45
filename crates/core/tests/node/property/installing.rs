//! What may be installed.

use super::world::World;
use crate::harness::{LicenseBuilder, SectionBuilder, license, section};

/// Long enough to matter, short enough to end within a run.
pub(super) const GRACE_MS: u64 = 60_000;

/// The most seats that any version of license 1 and 2 has.
pub(super) const MOST_SEATS: [usize; 2] = [3, 1];

impl World {
    pub(super) fn install(&mut self, what: u8) {
        let licenses = self.choose(what);
        for license in &licenses {
            let license = license.clone().build();
            let key = (license.id.to_string(), license.version);
            self.installed_at.entry(key).or_insert(self.server.lived());
        }
        self.server.install(licenses);
        self.listen();
    }

    fn choose(&mut self, what: u8) -> Vec<LicenseBuilder> {
        match what {
            2 => {
                self.shrinks();
                vec![self.license(1).with(large(1)).with(guarded()), self.second()]
            }
            3 => {
                self.versions[0] += 1;
                vec![self.license(1).with(guarded()).with(large(2)), self.second()]
            }
            4 => vec![self.second()],
            5 => {
                self.shrinks();
                vec![self.license(1).with(guarded()), self.second()]
            }
            6 => {
                self.versions[0] += 1;
                let soon = self.server.now().wall.plus_seconds(30);
                vec![self.first().expires(soon), self.second()]
            }
            7 => {
                self.versions[1] += 1;
                vec![self.first(), self.second()]
            }
            // Somebody puts an old file back.
            8 => vec![self.first().version(1), self.second().version(1)],
            9 => vec![],
            10 => {
                self.versions[0] += 1;
                vec![self.first().grace_ms(2 * GRACE_MS), self.second()]
            }
            _ => vec![self.first(), self.second()],
        }
    }

    fn shrinks(&mut self) {
        self.versions[0] += 1;
        self.shrunk = true;
    }

    fn first(&self) -> LicenseBuilder {
        self.license(1).with(large(2)).with(guarded())
    }

    fn second(&self) -> LicenseBuilder {
        self.license(2).hours(1).with(section("HOURS").hardware("Charon-SSP/4V").instances(1))
    }

    fn license(&self, number: u32) -> LicenseBuilder {
        let version = self.versions[number as usize - 1];
        license(number).version(version).lease(self.lease).grace_ms(GRACE_MS)
    }
}

fn large(instances: u32) -> SectionBuilder {
    section("LARGE").instances(instances)
}

fn guarded() -> SectionBuilder {
    section("GUARDED").max_cpu(2).instances(1).passphrase("1111-2222")
}
