//! Random numbers and the words, code and signatures that every session of a corpus draws from. Equal seeds give equal
//! bytes.

const WORDS: [&str; 64] = [
    "the", "session", "store", "index", "parse", "config", "daemon", "watcher", "message", "token", "cache", "error",
    "retry", "sync", "server", "client", "function", "returns", "value", "list", "map", "path", "file", "test",
    "build", "deploy", "branch", "commit", "merge", "review", "schema", "query", "row", "column", "thread", "lock",
    "async", "await", "stream", "buffer", "chunk", "header", "request", "response", "status", "handler", "route",
    "auth", "key", "user", "project", "module", "import", "export", "type", "trait", "struct", "enum", "match",
    "option", "result", "string", "bytes", "vector",
];
const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `SplitMix64`: small, fast and good enough for test data.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// Log-normal around a mean of 1: many small sessions, few big ones. The sum of twelve is normal enough.
    pub(crate) fn factor(&mut self) -> f64 {
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (0.8 * normal - 0.32).exp()
    }

    pub(crate) fn words(&mut self, count: i64) -> String {
        let words: Vec<&str> = (0..count).map(|_| *self.pick(&WORDS)).collect();
        words.join(" ")
    }

    /// `count` words as a sentence.
    pub(crate) fn sentence(&mut self, count: i64) -> String {
        let mut words = self.words(count);
        words[..1].make_ascii_uppercase();
        words
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.letters(HEX, 4, length)
    }

    pub(crate) fn base64(&mut self, length: usize) -> String {
        self.letters(BASE64, 6, length)
    }

    fn letters(&mut self, alphabet: &[u8], bits: u32, length: usize) -> String {
        let mut out = String::with_capacity(length + 16);
        while out.len() < length {
            let mut number = self.next();
            for _ in 0..64 / bits {
                out.push(char::from(alphabet[number as usize % alphabet.len()]));
                number >>= bits;
            }
        }
        out.truncate(length);
        out
    }

    pub(crate) fn uuid4(&mut self) -> String {
        let h = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..])
    }

    /// A version 7 id minted at `ms` after the epoch.
    pub(crate) fn uuid7(&mut self, ms: i64) -> String {
        let (time, tail) = (format!("{ms:012x}"), self.hex(18));
        format!("{}-{}-7{}-9{}-{}", &time[..8], &time[8..], &tail[..3], &tail[3..6], &tail[6..])
    }
}

/// What sessions repeat: files that are read again and again, phrases, signatures.
pub(crate) struct Pools {
    pub(crate) code: Vec<String>,
    pub(crate) prose: Vec<String>,
    pub(crate) signatures: Vec<String>,
}

impl Pools {
    pub(crate) fn new(random: &mut Random) -> Self {
        Pools {
            code: (0..64).map(|_| code(random)).collect(),
            prose: (0..128).map(|_| prose(random)).collect(),
            signatures: (0..16).map(|_| random.base64(344) + "==").collect(),
        }
    }
}

fn prose(random: &mut Random) -> String {
    let count = random.between(20, 140);
    random.sentence(count) + "."
}

fn code(random: &mut Random) -> String {
    let lines = random.between(8, 120);
    let line = |i| {
        let indent = "    ".repeat(random.between(0, 3) as usize);
        let (name, function, number) = (random.words(1), random.words(1), random.between(0, 9999));
        let (argument, comment) = (random.words(3), random.words(4));
        format!("{indent}let {name}_{i} = {function}({number}, \"{argument}\"); // {comment}")
    };
    (0..lines).map(line).collect::<Vec<_>>().join("\n")
}
