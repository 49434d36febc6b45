//! A crash between any two steps of an installation leaves a home that works.

use std::fs;

use crate::office::{ID, Office};

/// What a crash may leave behind, made by hand: the steps of `install` up to each of them.
#[test]
fn every_step_of_an_installation_leaves_a_usable_home() {
    let office = Office::with_license(|license| license);
    let update = office.license().version(2).sign();
    let installed = office.installed();
    let (licenses, id) = (office.home().licenses(), ID.parse().unwrap());
    let steps: [(&str, &[u8]); 4] = [
        (".01.00000001.002.044.v2c.1.0011223344556677.tmp", &installed[..100]),
        ("01.00000001.002.044.v2c.1", &installed),
        (".01.00000001.002.044.v2c.0011223344556677.tmp", &update.as_bytes()[..100]),
        (".01.00000001.002.044.v2c.8899aabbccddeeff.tmp", update.as_bytes()),
    ];
    for (name, bytes) in steps {
        fs::write(licenses.join(name), bytes).unwrap();
        assert_eq!(office.status(), "valid", "{name}");
        assert_eq!(office.installed(), installed, "{name}");
        let list = office.run("licensectl", &["licenses", "--json"]).expect_code(0).stdout;
        assert_eq!(list.matches("\"id\"").count(), 1, "{name}: {list}");
    }
    office.install(&update).expect_code(0);
    assert_eq!(office.installed(), format!("{update}\n").as_bytes());
    assert_eq!(fs::read(office.home().earlier_license_file(&id, 1)).unwrap(), installed);
    assert_eq!(office.status(), "valid");
}
