//! Several sections fit: which one gives the seat.

use ve_core::reason::ReasonCode;

use crate::harness::{
    LicenseBuilder, LoginBuilder, Outcome, Server, WALL_AT_START, emulator, license, section,
};

fn chosen(licenses: Vec<LicenseBuilder>, login: LoginBuilder) -> String {
    let mut server = Server::with(licenses);
    let grant = server.login_from(1, login).granted();
    format!("{} {}", grant.license_id, grant.product_code)
}

#[test]
fn the_choice_has_its_order() {
    let later = |seconds| WALL_AT_START.plus_seconds(seconds);
    let cases = [
        (
            "NORMAL before COUNTDOWN, however tight the latter fits",
            vec![
                license(1).hours(5).with(section("A").max_cpu(1)),
                license(2).with(section("B").max_cpu(64)),
            ],
            "01.00000001.002.002 B",
        ),
        (
            "the smallest sufficient number of CPUs",
            vec![
                license(1).with(section("A").max_cpu(8)).with(section("B").max_cpu(4)),
                license(2).with(section("C").max_cpu(1)),
            ],
            "01.00000001.002.001 B",
        ),
        (
            "then the smallest sufficient memory",
            vec![
                license(1)
                    .with(section("A").max_memory_mb(8_192))
                    .with(section("B").max_memory_mb(512))
                    .with(section("C").max_memory_mb(64)),
            ],
            "01.00000001.002.001 B",
        ),
        (
            "then the earliest end, by the license's date or the section's",
            vec![
                license(1).with(section("A")),
                license(2).expires(later(500)).with(section("B").expires(later(900))),
                license(3).with(section("C").expires(later(400))),
            ],
            "01.00000001.002.003 C",
        ),
        (
            "then the license ID",
            vec![license(3).with(section("A")), license(2).with(section("B"))],
            "01.00000001.002.002 B",
        ),
    ];
    for (why, licenses, expected) in cases {
        assert_eq!(chosen(licenses, emulator("ss5").cpus(2).memory_mb(128)), expected, "{why}");
    }
}

#[test]
fn the_first_with_a_free_seat_wins() {
    let best = section("BEST").max_cpu(1).instances(1);
    let other = section("OTHER").instances(1);
    let mut server = Server::with([license(1).with(other).with(best)]);
    let code = |server: &mut Server, host| {
        server.login_from(host, emulator("ss5")).granted().product_code.as_str().to_string()
    };
    assert_eq!(code(&mut server, 1), "BEST");
    assert_eq!(code(&mut server, 2), "OTHER");
    assert_eq!(server.login_from(3, emulator("ss5")).code(), ReasonCode::InstanceLimit);
}

#[test]
fn a_passphrase_opens_its_section_and_no_other() {
    let open = section("OPEN").instances(1);
    let guarded = section("GUARDED").instances(1).max_cpu(1).passphrase("1111-2222");
    let licenses = || vec![license(1).with(open.clone()).with(guarded.clone())];
    assert_eq!(chosen(licenses(), emulator("ss5")), "01.00000001.002.001 OPEN");
    assert_eq!(
        chosen(licenses(), emulator("ss5").passphrase("1111-2222")),
        "01.00000001.002.001 GUARDED"
    );

    let mut server = Server::with(licenses());
    server.login_from(1, emulator("ss5").passphrase("1111-2222")).granted();
    let second = server.login_from(2, emulator("ss5").passphrase("1111-2222"));
    assert_eq!(second.code(), ReasonCode::InstanceLimit, "the open section is not for it");
}
