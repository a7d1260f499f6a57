//! The part of JSON Schema that the published .sfs schemas use.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Map, Value};

/// One of the published schemas, such as `message`.
pub struct Schema(Value);

impl Schema {
    pub fn of(name: &str) -> Schema {
        let path = super::home::fixture("schemas").join(format!("{name}.schema.json"));
        Schema(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// What contradicts the schema, with where it stands; empty if nothing does.
    pub fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "$", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
        let Some(rules) = schema.as_object() else { return };
        for (rule, demand) in rules {
            match rule.as_str() {
                "$ref" => self.check(self.0.pointer(&demand.as_str().unwrap()[1..]).unwrap(), value, at, out),
                "oneOf" => {
                    let fits = |s: &&Value| self.fits(s, value);
                    let count = demand.as_array().unwrap().iter().filter(fits).count();
                    claim(count == 1, &format!("fits {count} of the alternatives"), value, at, out);
                }
                "not" => claim(!self.fits(demand, value), "is what it must not be", value, at, out),
                "type" => claim(has_type(demand, value), &format!("is not of type {demand}"), value, at, out),
                "const" => claim(demand == value, &format!("is not {demand}"), value, at, out),
                "enum" => {
                    claim(demand.as_array().unwrap().contains(value), &format!("is none of {demand}"), value, at, out);
                }
                "minimum" => {
                    let is_enough = value.as_f64() >= demand.as_f64() || !value.is_number();
                    claim(is_enough, "is too small", value, at, out);
                }
                "minItems" => {
                    let enough = value.as_array().is_none_or(|items| items.len() as u64 >= demand.as_u64().unwrap());
                    claim(enough, "has too few items", value, at, out);
                }
                "format" => {
                    let is_date = value.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_ok());
                    claim(demand == "date-time" && is_date, "is no date-time", value, at, out);
                }
                "items" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(demand, item, &format!("{at}[{n}]"), out);
                    }
                }
                // The first three are looked at together.
                "required"
                | "properties"
                | "additionalProperties"
                | "$schema"
                | "$id"
                | "$defs"
                | "title"
                | "default"
                | "examples" => {}
                other => panic!("the schema has a rule that this check does not know: {other}"),
            }
        }
        if let Some(object) = value.as_object() {
            self.check_object(rules, object, at, out);
        }
    }

    fn check_object(&self, rules: &Map<String, Value>, object: &Map<String, Value>, at: &str, out: &mut Vec<String>) {
        for key in rules.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !object.contains_key(key.as_str().unwrap()) {
                out.push(format!("{at} has no {key}"));
            }
        }
        let known = rules.get("properties").and_then(Value::as_object);
        for (key, value) in object {
            let at = format!("{at}.{key}");
            match known.and_then(|known| known.get(key)).or(rules.get("additionalProperties")) {
                Some(Value::Bool(false)) => out.push(format!("{at} is not in the schema")),
                Some(schema) => self.check(schema, value, &at, out),
                None => {}
            }
        }
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut faults = Vec::new();
        self.check(schema, value, "$", &mut faults);
        faults.is_empty()
    }
}

fn claim(holds: bool, what: &str, value: &Value, at: &str, out: &mut Vec<String>) {
    if !holds {
        let text: String = value.to_string().chars().take(200).collect();
        out.push(format!("{at} {what}: {text}"));
    }
}

fn has_type(demand: &Value, value: &Value) -> bool {
    if let Some(types) = demand.as_array() {
        return types.iter().any(|one| has_type(one, value));
    }
    match demand.as_str().unwrap() {
        "string" => value.is_string(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("unknown type {other}"),
    }
}
