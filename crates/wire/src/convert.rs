//! Between the messages of the protocol and the words of `ve-core`. Whatever comes from outside is
//! checked here, once, field by field; behind it there are only values that keep their limits.

use std::fmt::Display;

use ve_core::{
    grant::{Grant, Marks},
    id::{LicenseId, Nonce, RunId, SessionId},
    license::ProductVersion,
    node::io::Login,
    reason::{ReasonCode, Refusal},
    select::Wanted,
    text::{Name, Passphrase, printable},
    time::{MAX_DURATION_MS, Utc},
};

use crate::{
    limits::{
        MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS, MAX_SENTENCE_BYTES, MAX_WITNESS_BYTES, MAX_WITNESSES,
    },
    proto,
};

pub use crate::facts::{FactsShown, IdentityShown, facts, facts_message, receipt};

/// The most virtual CPUs that a login may name.
const MAX_CPUS: u32 = 65_536;
/// The most virtual memory that a login may name, in MB.
const MAX_MEMORY_MB: u64 = 1 << 40;

pub(crate) fn bad(field: &str, why: impl Display) -> Refusal {
    Refusal::new(ReasonCode::BadRequest, format!("the field {field} {why}."))
}

/// A name from outside.
pub fn name(field: &str, text: &str) -> Result<Name, Refusal> {
    text.parse().map_err(|why| bad(field, why))
}

pub(crate) fn bytes<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_| bad(field, format!("has {} bytes instead of {N}", bytes.len())))
}

/// A request's nonce.
pub fn nonce(field: &[u8]) -> Result<Nonce, Refusal> {
    bytes("nonce", field).map(Nonce)
}

/// A session's secret name.
pub fn session(field: &[u8]) -> Result<SessionId, Refusal> {
    bytes("session", field).map(SessionId)
}

/// The license a text names.
pub(crate) fn license_id(field: &str, text: &str) -> Result<LicenseId, Refusal> {
    text.parse().map_err(|why| bad(field, format_args!("is none: {why}")))
}

/// The credentials with which a license server introduces itself as a peer; `None` for a client.
/// None of them is verified.
pub fn peer_credentials(hello: &proto::ClientHello) -> Result<Option<&[String]>, Refusal> {
    let credentials = hello.peer_credentials.as_slice();
    if credentials.len() > MAX_CREDENTIALS {
        let why = format_args!("has more than {MAX_CREDENTIALS} entries");
        return Err(bad("peer_credentials", why));
    }
    if credentials.iter().any(|credential| credential.len() > MAX_CREDENTIAL_BYTES) {
        let why = format_args!("has an entry of more than {MAX_CREDENTIAL_BYTES} bytes");
        return Err(bad("peer_credentials", why));
    }
    Ok((!credentials.is_empty()).then_some(credentials))
}

/// A login, with every limit checked. Its witnesses and facts are for whoever can check their
/// signatures: see [`crate::witness`] and [`facts`].
pub fn login(message: &proto::Login) -> Result<Login, Refusal> {
    let in_range =
        |field, holds: bool, rule: &str| if holds { Ok(()) } else { Err(bad(field, rule)) };
    in_range("cpus", (1..=MAX_CPUS).contains(&message.cpus), "is not between 1 and 65536")?;
    let memory = "is not between 1 and 1099511627776";
    in_range("memory_mb", (1..=MAX_MEMORY_MB).contains(&message.memory_mb), memory)?;
    let few = message.witnesses.len() <= MAX_WITNESSES;
    in_range("witnesses", few, "has more than 4 entries")?;
    let fits = |witness: &proto::Signed| witness.statement.len() <= MAX_WITNESS_BYTES;
    let short = message.witnesses.iter().all(fits);
    in_range("witnesses", short, "has a statement of more than 2048 bytes")?;
    let version = name("version", &message.version)?;
    let passphrase = match message.passphrase.as_str() {
        "" => None,
        text => Some(text.parse::<Passphrase>().map_err(|why| bad("passphrase", why))?),
    };
    Ok(Login {
        product: name("product", &message.product)?,
        wanted: Wanted {
            hardware: name("virtual_hardware", &message.virtual_hardware)?,
            version: ProductVersion::try_from(version)
                .map_err(|why| bad("version", format!("is not one: {why}")))?,
            cpus: message.cpus,
            memory_mb: message.memory_mb,
            passphrase,
        },
        emulator: name("emulator", &message.emulator)?,
        session: if message.session.is_empty() { None } else { Some(session(&message.session)?) },
        run: RunId(bytes("run", &message.run)?),
        witnesses: Vec::new(),
        facts: None,
    })
}

/// A grant for the wire; its session stands in the statement around it.
pub fn grant_message(grant: &Grant) -> proto::Grant {
    let Marks { license_version, time, ledger_position, hours_used_ms } = grant.marks;
    proto::Grant {
        license_id: grant.license_id.to_string(),
        customer: grant.customer.to_string(),
        product_code: grant.product_code.to_string(),
        virtual_hardware: grant.virtual_hardware.to_string(),
        instances: grant.instances,
        max_cpu: grant.max_cpu,
        max_memory_mb: grant.max_memory_mb,
        major: grant.major,
        minor: grant.minor,
        expires: grant.expires.map(|end| end.0),
        remaining_ms: grant.remaining_ms,
        grace_ms: grant.grace_ms,
        check_interval_ms: grant.check_interval_ms,
        lease_ms: grant.lease_ms,
        marks: Some(proto::Marks { license_version, time: time.0, ledger_position, hours_used_ms }),
        home: grant.home.as_ref().map_or_else(String::new, ToString::to_string),
    }
}

/// A grant from the wire, for `session`. A server that sends nonsense is refused like a stranger.
pub fn grant(message: &proto::Grant, session: SessionId) -> Result<Grant, Refusal> {
    let marks = message.marks.as_ref().ok_or_else(|| bad("marks", "is missing"))?;
    let duration = |field, duration_ms: u64| {
        if (1..=2 * MAX_DURATION_MS).contains(&duration_ms) {
            Ok(duration_ms)
        } else {
            Err(bad(field, "is out of range"))
        }
    };
    Ok(Grant {
        session,
        license_id: license_id("license_id", &message.license_id)?,
        customer: name("customer", &message.customer)?,
        product_code: name("product_code", &message.product_code)?,
        virtual_hardware: name("virtual_hardware", &message.virtual_hardware)?,
        instances: message.instances,
        max_cpu: message.max_cpu,
        max_memory_mb: message.max_memory_mb,
        major: message.major,
        minor: message.minor,
        expires: message.expires.map(Utc),
        remaining_ms: message.remaining_ms,
        grace_ms: duration("grace_ms", message.grace_ms)?,
        check_interval_ms: duration("check_interval_ms", message.check_interval_ms)?,
        lease_ms: duration("lease_ms", message.lease_ms)?,
        marks: Marks {
            license_version: marks.license_version,
            time: Utc(marks.time),
            ledger_position: marks.ledger_position,
            hours_used_ms: marks.hours_used_ms,
        },
        home: match message.home.as_str() {
            "" => None,
            id => Some(license_id("home", id)?),
        },
        receipt: None,
    })
}

/// A refusal for the wire.
pub fn refusal_message(refusal: &Refusal) -> proto::Refusal {
    let mut sentence = refusal.sentence.clone();
    sentence.truncate(sentence.floor_char_boundary(MAX_SENTENCE_BYTES));
    proto::Refusal { code: refusal.code.to_string(), sentence }
}

/// A refusal from the wire. A code that this client does not know yet is told in the sentence.
pub fn refusal(message: &proto::Refusal) -> Refusal {
    let sentence = printable(&message.sentence, MAX_SENTENCE_BYTES);
    match message.code.parse() {
        Ok(code) => Refusal { code, sentence },
        Err(_) => Refusal::new(
            ReasonCode::BadRequest,
            format!("{}: {sentence}", printable(&message.code, 64)),
        ),
    }
}

/// The best protocol version that both sides speak.
pub fn common_version(theirs: &[u32], ours: &[u32]) -> Option<u32> {
    ours.iter().copied().find(|version| theirs.contains(version))
}
