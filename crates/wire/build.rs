//! Compiles the published protocol without a system `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["ve_license.proto"], ["proto"])?;
    // These hold secrets or proofs: passphrases, the names of sessions, receipts.
    let secret = [
        "Login",
        "HostFacts",
        "IdentityDocument",
        "Check",
        "Logout",
        "Ping",
        "Pong",
        "Answer",
        "Statement",
        "Signed",
    ];
    let secret = secret.map(|message| format!(".ve.license.v1.{message}"));
    prost_build::Config::new().skip_debug(secret).compile_fds(files)?;
    Ok(())
}
