//! VM files in the making.

use ve_testbed::guest;

/// Firmware of SPARC machines when it waits for a command.
pub(crate) const PROMPT: &str = "0 > ";

/// A QEMU machine with its console on standard output, translated so that it runs anywhere.
const QEMU: &str = "kind = \"qemu\"\naccel = \"tcg\"\nargs = [\"-nographic\"]";

/// What a VM's file says. Lines of one's own go to the end of their table.
#[derive(Debug, Clone)]
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) architecture: &'static str,
    pub(crate) virtual_hardware: &'static str,
    pub(crate) cpus: u32,
    pub(crate) memory_mb: u32,
    /// The primary server, if not that of its host.
    pub(crate) server: Option<String>,
    /// More of `[license]`.
    pub(crate) license: String,
    /// More of `[log]`.
    pub(crate) log: String,
    /// `[engine]`.
    pub(crate) engine: String,
}

impl Vm {
    fn new(name: &str, architecture: &'static str, engine: &str) -> Self {
        Self {
            name: name.to_owned(),
            architecture,
            virtual_hardware: "Charon-SSP/4M",
            cpus: 1,
            memory_mb: 64,
            server: None,
            license: String::new(),
            log: String::new(),
            engine: engine.to_owned(),
        }
    }

    /// A `SPARCstation`. Its firmware knows no power button.
    pub(crate) fn sun4m(name: &str) -> Self {
        Self::new(name, "sun-4m", QEMU)
    }

    /// An `UltraSPARC` machine.
    pub(crate) fn sun4u(name: &str) -> Self {
        let vm = Self::new(name, "sun-4u", QEMU);
        Self { virtual_hardware: "Charon-SSP/4U", ..vm }
    }

    /// A PC with a Linux that hears the power button.
    pub(crate) fn linux(name: &str) -> Self {
        let folder = guest::linux();
        let folder = folder.to_str().expect("a folder in UTF-8");
        let engine = format!(
            "kind = \"qemu\"\naccel = \"tcg\"\nargs = [\"-nographic\", \"-no-reboot\", \
             \"-kernel\", '{folder}/vmlinuz', \"-initrd\", '{folder}/initramfs.gz', \
             \"-append\", \"console=ttyS0 quiet panic=-1\"]"
        );
        Self { memory_mb: 256, ..Self::new(name, "x86_64", &engine) }
    }

    /// Any program: a shell script without `'''`.
    pub(crate) fn script(name: &str, script: &str) -> Self {
        let engine = format!("kind = \"command\"\ncommand = [\"sh\", \"-c\", '''{script}''']");
        Self::new(name, "other", &engine)
    }

    /// A program that runs until it is asked to end, and then ends with exit code 0.
    pub(crate) fn polite(name: &str) -> Self {
        Self::script(name, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
    }

    /// With another primary server.
    pub(crate) fn at(self, server: &str) -> Self {
        Self { server: Some(server.to_owned()), ..self }
    }

    /// With another line in `[license]`.
    pub(crate) fn license(self, line: &str) -> Self {
        Self { license: self.license + line + "\n", ..self }
    }

    /// With another line in `[log]`.
    pub(crate) fn log(self, line: &str) -> Self {
        Self { log: self.log + line + "\n", ..self }
    }

    /// With another line in `[engine]`.
    pub(crate) fn engine(self, line: &str) -> Self {
        Self { engine: self.engine + "\n" + line, ..self }
    }

    /// The file's text, for a server at `server`.
    pub(crate) fn text(&self, server: &str) -> String {
        let Self { name, architecture, virtual_hardware, cpus, memory_mb, .. } = self;
        let Self { license, log, engine, .. } = self;
        let server = self.server.as_deref().unwrap_or(server);
        format!(
            "name = \"{name}\"\narchitecture = \"{architecture}\"\n\
             virtual_hardware = \"{virtual_hardware}\"\nversion = \"5.2.1\"\n\
             cpus = {cpus}\nmemory_mb = {memory_mb}\n\n\
             [license]\nprimary_server = \"{server}\"\n{license}\n\
             [log]\ndir = \"log\"\nutc = true\n{log}\n\
             [engine]\n{engine}\n"
        )
    }
}
