//! Is it a secret? What a name promises, and what a value looks like. The doubt is decided for silence: code, paths,
//! identifiers, hashes, examples and placeholders are everywhere in a coding session.

use super::Severity;

/// The words by which a name of a secret is recognised, in lower case.
pub(super) const NAMES: &[&str] = &["pass", "pwd", "secret", "token", "credential", "apikey", "key"];

/// How much a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// A password: any text may be one.
    Password,
    /// An API key, a client secret, an access token: random text.
    Strong,
    /// A key or a token: of a cache, of a page, of a language model, or a secret.
    Weak,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Between quotes.
    Quoted,
    /// `NAME=value`.
    Plain,
    /// `name: value`, `name = value`: code looks like this too.
    Spaced,
}

/// What may follow the word that makes a name a secret's: `API_KEY_V2`, `PASSWORD_PROD`.
const SUFFIXES: &str = "value string str plain plaintext raw text b64 base64 hex prod production dev development staging test \
    live old new current default main primary secondary backup root admin user v1 v2 v3 1 2 3 base hash_key";

/// Names with one of these words are no secrets', whatever else they say.
const HARMLESS: &str = "public pub next page continuation cancellation pad eos bos unk mask sep cls max min stop num total input \
    output prompt completion primary foreign cache sort row partition idempotency object query storage_path \
    translation i18n react dict map group fingerprint thumbprint checksum digest hash shape";

/// Ends of names, words written together.
const PASSWORDS: &str = "password passwd passphrase pwd";
const STRONG: &str = "secret credential credentials apikey accesskey secretkey privatekey authkey encryptionkey signingkey \
    masterkey accountkey storagekey sharedkey servicekey rolekey adminkey deploykey licensekey jwtkey hmackey \
    webhookkey authtoken accesstoken apitoken bearertoken refreshtoken sessiontoken bottoken secrettoken \
    oauthtoken personaltoken deploytoken idtoken usertoken githubtoken ghtoken gitlabtoken npmtoken \
    clienttoken admintoken servicetoken registrytoken";
const WEAK: &str = "token key";

/// Whether `name` is worth a closer look: JSON has many keys.
pub(super) fn may_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    NAMES.iter().any(|word| lower.contains(word))
}

/// Whether `value` is one word of a fitting length.
pub(super) fn may_be_assigned(value: &str) -> bool {
    (8..=512).contains(&value.len()) && !value.contains(char::is_whitespace)
}

/// What `name` promises; nothing if it is no secret's.
pub(super) fn strength(name: &str) -> Option<Strength> {
    let name = name.rsplit('.').next().unwrap_or(name).trim_matches(['-', '_']);
    let mut words = words(name);
    while words.last().is_some_and(|word| has_word(SUFFIXES, word)) {
        words.pop();
    }
    if words.iter().any(|word| has_word(HARMLESS, word)) {
        return None;
    }
    let joined = words.concat();
    let ends_with = |ends: &str| ends.split(' ').any(|end| joined.ends_with(end));
    if ends_with(PASSWORDS) || (is_screaming(name) && words.last().is_some_and(|word| word == "pass")) {
        return Some(Strength::Password);
    }
    let is_token_of_env = is_screaming(name) && words.len() > 1 && joined.ends_with("token");
    if ends_with(STRONG) || is_token_of_env || (words.len() > 1 && words[0] == "secret" && ends_with(WEAK)) {
        return Some(Strength::Strong);
    }
    ends_with(WEAK).then_some(Strength::Weak)
}

/// True where `word` is one of `words`.
fn has_word(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// The words of a name in lower case: `dbPassword`, `DB_PASSWORD` and `db-password` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for c in name.chars() {
        let begins = before.is_ascii_lowercase() && c.is_ascii_uppercase();
        if c.is_ascii_alphanumeric() {
            if begins || !before.is_ascii_alphanumeric() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        before = c;
    }
    words
}

/// `LIKE_THIS`: a variable of an environment, whose value is a text and never code.
fn is_screaming(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase()) && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// The kind of the secret that is assigned to `name`, if `value` is one.
pub(super) fn assigned(name: &str, strength: Strength, form: Form, value: &str) -> Option<(&'static str, Severity)> {
    if !may_be_assigned(value) || !is_text_of_its_own(value) {
        return None;
    }
    let is_env = is_screaming(name) && form == Form::Plain;
    let is_secret = match strength {
        Strength::Password => is_password_of(form, is_env, value),
        Strength::Strong => is_key_of(form, is_env, value),
        Strength::Weak => form != Form::Spaced && value.len() >= 24 && !is_hex(value) && is_random(value),
    };
    if !is_secret {
        return None;
    }
    let joined = words(name).concat();
    Some(match strength {
        Strength::Strong if joined.contains("secretaccesskey") && is_aws_secret(value) => {
            ("aws_secret_access_key", Severity::Critical)
        }
        Strength::Weak => ("base64_high_entropy", Severity::Medium),
        _ => ("generic_password_assignment", Severity::Medium),
    })
}

fn is_aws_secret(value: &str) -> bool {
    value.len() == 40 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

/// Words that stand where a password would in code, forms and schemas.
const NO_PASSWORDS: &str = "password passwort required optional invalid incorrect confirm disabled undefined forgotten username email \
    hidden textarea visible updated expired internal security passwords";

fn is_password_of(form: Form, is_env: bool, value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.bytes().any(|b| test(&b));
    let mixed = has(u8::is_ascii_alphabetic) && has(|b| !b.is_ascii_alphabetic() && !b"_-./:".contains(b));
    match form {
        Form::Quoted => !has_word(NO_PASSWORDS, &value.to_ascii_lowercase()) && !is_identifier_path(value),
        Form::Plain => mixed || (is_env && !has_word(NO_PASSWORDS, &value.to_ascii_lowercase())),
        Form::Spaced => mixed && has(u8::is_ascii_digit) && !is_identifier_path(value) && !is_name_in_code(value),
    }
}

fn is_key_of(form: Form, is_env: bool, value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.bytes().any(|b| test(&b));
    let both = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    if !both || (is_uuid(value) && !is_env) {
        return false;
    }
    match form {
        Form::Quoted => entropy(value) >= 2.9 && !is_identifier_path(value),
        Form::Plain if is_env => entropy(value) >= 2.9,
        Form::Plain | Form::Spaced => value.len() >= 16 && (is_random(value) || (value.len() >= 32 && is_hex(value))),
    }
}

/// `module::Type`, `A_CONSTANT_1`.
fn is_name_in_code(value: &str) -> bool {
    value.contains("::") || (value.contains('_') && is_screaming(value))
}

/// `config.password`, `app/password_2`: dotted or slashed names.
fn is_identifier_path(value: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b)) && part.len() < 24
    };
    let mut parts = value.split(['.', '/', ':']);
    value.contains(['.', '/', ':', '_', '-']) && parts.by_ref().all(|part| part.is_empty() || is_word(part))
}

/// Not a reference to something else, not an example, and not redacted already.
fn is_text_of_its_own(value: &str) -> bool {
    let begins_as_reference =
        value.starts_with(['$', '/', '~', '@', '%', '&', '*', '<', '{', '!', '#']) && !is_random(value);
    let is_reference = begins_as_reference
        || value.starts_with("./")
        || value.contains("://")
        || value.contains("${")
        || value.contains("$(")
        || value.contains("{{")
        || value.contains("process.env")
        || value.contains("os.environ")
        || value.starts_with("secretKeyRef")
        || value.starts_with("arn:");
    !is_reference && !is_placeholder(value)
}

/// Marks of examples and placeholders, in lower case.
const EXAMPLES: &str = "example changeme change_me change-me placeholder your_ your- yourpassword yourapikey xxxx **** .... … \
    dummy fake redacted replace sample todo insert <your notreal not-real abcdefgh 12345678 01234567 deadbeef";

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    EXAMPLES.split(' ').any(|mark| lower.contains(mark)) || entropy(value) < 1.8
}

/// For tokens that show by their form: no example.
pub(super) fn is_real(token: &str) -> bool {
    let lower = token.to_ascii_lowercase();
    let is_example = ["example", "xxxx", "your_", "your-", "placeholder", "changeme", "redacted", "****", "1234567890"]
        .iter()
        .any(|mark| lower.contains(mark));
    !is_example && entropy(token) >= 2.5 && !is_kebab(token)
}

/// `sk-proj-this-is-how-it-begins`: words.
fn is_kebab(token: &str) -> bool {
    token.matches('-').count() >= 2 && !token.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// Behind `Bearer` and the like.
pub(super) fn is_credential(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let upper = value.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = value.bytes().filter(u8::is_ascii_lowercase).count();
    let mixed = lower > 0 && upper > 1 && value.len() >= 16 && entropy(value) > 3.2;
    let is_code = is_name_in_code(value) || (value.contains(['.', '_']) && digits < 4);
    let is_text = upper + lower > 0 && is_text_of_its_own(value) && !is_code;
    (digits > 0 || (mixed && value.ends_with('='))) && is_text && entropy(value) >= 2.5
}

/// Between `user:` and `@host` in an address.
pub(super) fn is_url_password(value: &str) -> bool {
    const STAND_INS: &str = "password passwd pass pwd pw secret token user username port key test";
    let is_reference =
        value.starts_with(['$', '<', '{', '*', '%', '[']) || value.contains("${") || value.contains("{{");
    let is_example = value.len() >= 8 && is_placeholder(value);
    !(is_reference || is_example || is_dots(value) || has_word(STAND_INS, &value.to_ascii_lowercase()))
}

fn is_dots(value: &str) -> bool {
    value.bytes().all(|b| b"*.xX-_".contains(&b))
}

/// In a `.netrc` or behind `curl -u user:`.
pub(super) fn is_password(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.bytes().any(|b| test(&b));
    is_url_password(value) && has(u8::is_ascii_alphabetic) && (has(u8::is_ascii_digit) || value.len() >= 12)
}

fn is_hex(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_hexdigit())
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(value: &str) -> bool {
    let lengths: Vec<usize> = value.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Three classes of characters, well mixed, without a word in it.
fn is_random(value: &str) -> bool {
    let count = |test: fn(&u8) -> bool| value.bytes().filter(test).count();
    let longest_word = value.split(|c: char| !c.is_ascii_lowercase()).map(str::len).max().unwrap_or(0);
    let all_of_alphabet = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-.~".contains(&b));
    all_of_alphabet
        && count(u8::is_ascii_digit) >= 2
        && count(u8::is_ascii_lowercase) >= 2
        && (count(u8::is_ascii_uppercase) >= 2 || entropy(value) >= 4.0)
        && longest_word < 10
        && entropy(value) >= 3.5
}

/// Bits for each character, after Shannon.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    value.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let length = value.len() as f64;
    let parts = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    parts.map(|part| -part * part.log2()).sum()
}
