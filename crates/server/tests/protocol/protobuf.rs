//! As much of Protocol Buffers as the protocol needs, written from their specification.

/// A message in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            put_varint(&mut self.0, field << 3);
            put_varint(&mut self.0, value);
        }
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        if !value.is_empty() {
            self = self.message(field, value);
        }
        self
    }

    /// A part that is there even when it is empty.
    pub(crate) fn message(mut self, field: u64, value: &[u8]) -> Self {
        put_varint(&mut self.0, field << 3 | 2);
        put_varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn packed(self, field: u64, values: &[u32]) -> Self {
        let mut packed = Vec::new();
        for value in values {
            put_varint(&mut packed, u64::from(*value));
        }
        self.bytes(field, &packed)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A received message, taken apart field by field. What is left at the end is not in the `.proto`.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(u64, Value)>);

impl Fields {
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = take_varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(take_varint(&mut bytes)),
                2 => {
                    let length = usize::try_from(take_varint(&mut bytes)).expect("a length");
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(value.to_vec())
                }
                other => panic!("the protocol has no fields of wire type {other}"),
            };
            fields.push((key >> 3, value));
        }
        Self(fields)
    }

    /// The one field of a `oneof`, and its content.
    pub(crate) fn one(mut self) -> (u64, Vec<u8>) {
        match (self.0.pop(), self.0.is_empty()) {
            (Some((field, Value::Bytes(bytes))), true) => (field, bytes),
            other => panic!("not one message in a message: {other:?}"),
        }
    }

    pub(crate) fn optional_number(&mut self, field: u64) -> Option<u64> {
        self.take(field).map(|value| match value {
            Value::Number(number) => number,
            Value::Bytes(_) => panic!("field {field} is no number"),
        })
    }

    pub(crate) fn number(&mut self, field: u64) -> u64 {
        self.optional_number(field).unwrap_or(0)
    }

    pub(crate) fn small(&mut self, field: u64) -> u32 {
        self.number(field).try_into().expect("32 bits")
    }

    pub(crate) fn optional_bytes(&mut self, field: u64) -> Option<Vec<u8>> {
        self.take(field).map(|value| match value {
            Value::Bytes(bytes) => bytes,
            Value::Number(_) => panic!("field {field} is a number"),
        })
    }

    pub(crate) fn bytes(&mut self, field: u64) -> Vec<u8> {
        self.optional_bytes(field).unwrap_or_default()
    }

    pub(crate) fn text(&mut self, field: u64) -> String {
        String::from_utf8(self.bytes(field)).expect("UTF-8")
    }

    pub(crate) fn texts(&mut self, field: u64) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(bytes) = self.optional_bytes(field) {
            texts.push(String::from_utf8(bytes).expect("UTF-8"));
        }
        texts
    }

    pub(crate) fn packed(&mut self, field: u64) -> Vec<u32> {
        let packed = self.bytes(field);
        let mut rest = packed.as_slice();
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(take_varint(&mut rest).try_into().expect("32 bits"));
        }
        values
    }

    /// Nothing is left.
    pub(crate) fn end(self) {
        assert_eq!(self.0, [], "fields that the .proto does not name");
    }

    fn take(&mut self, field: u64) -> Option<Value> {
        let at = self.0.iter().position(|(number, _)| *number == field)?;
        Some(self.0.remove(at).1)
    }
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than 64 bits")
}
