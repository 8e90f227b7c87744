//! Conditions of rules: a part of CEL (Common Expression Language, cel.dev) that has no loop, no arithmetic and no function but on text, so that one takes
//! no longer than it is long.
//!
//! `customer.tier == "gold" && order.value > 500`, `turn.confidence < 0.5 || !has(authentication.level)`, `intent in ["refund", "claim"]`,
//! `size(actions_tried) >= 3`, `goal.startsWith("cancel")`.
//!
//! | name | is |
//! |---|---|
//! | `turn.…` | the turn: `number`, `role`, `text`, `confidence`, `intent`, `topic`, `flags`, `sentiment.label`, `sentiment.score` |
//! | `call.…` | the call: `seconds`, `turns`, `caller`, `earlier` (calls of this caller before it that are known) |
//! | any other | that member of the context, else of its `fields`; `intent` and `sentiment` are those of the latest turn that has one, where the context has none |
//!
//! What is not there has no value, and a condition that needs it does not hold (`has(a.b)` asks). Values of different types are not equal, and
//! none is less than the other, except that numbers are numbers.

use std::cmp::Ordering;
use std::fmt;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::parser::Parser;
use serde_json::Value;

use crate::facts::Facts;

/// Bytes of a condition.
pub const EXPRESSION_MAX: usize = 1_000;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    source: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Literal(Value),
    List(Vec<Node>),
    Path(Vec<String>),
    Has(Vec<String>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Equal(Box<Node>, Box<Node>),
    Order(Order, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Size(Box<Node>),
    Text(Text, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Text {
    Contains,
    StartsWith,
    EndsWith,
}

/// Why a condition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoExpression(String);

impl fmt::Display for NoExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoExpression {}

impl Expression {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is no CEL, and where, or what of CEL is not taken.
    pub fn new(source: &str) -> Result<Expression, NoExpression> {
        if source.len() > EXPRESSION_MAX {
            return Err(NoExpression(format!("has more than {EXPRESSION_MAX} bytes")));
        }
        let parsed = Parser::default().parse(source).map_err(|errors| {
            let first = errors.errors.first();
            NoExpression(first.map_or_else(
                || errors.to_string(),
                |error| format!("cannot be read at character {}: {}", error.pos.1, error.msg),
            ))
        })?;
        let root = node(&parsed)?;
        Ok(Expression {
            source: source.to_owned(),
            root,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether what it sees changes with every second.
    pub(crate) fn sees_time(&self) -> bool {
        self.sees("seconds")
    }

    /// Whether it sees how often the caller called.
    pub(crate) fn sees_calls(&self) -> bool {
        self.sees("earlier")
    }

    /// Whether it sees this of the call.
    fn sees(&self, what: &str) -> bool {
        fn sees(node: &Node, what: &str) -> bool {
            let sees = |node: &Node| sees(node, what);
            match node {
                Node::Path(path) | Node::Has(path) => {
                    matches!(&path[..], [call, name, ..] if call == "call" && name == what)
                }
                Node::Literal(_) => false,
                Node::List(nodes) => nodes.iter().any(sees),
                Node::Not(of) | Node::Size(of) => sees(of),
                Node::And(left, right)
                | Node::Or(left, right)
                | Node::Equal(left, right)
                | Node::Order(_, left, right)
                | Node::In(left, right)
                | Node::Text(_, left, right) => sees(left) || sees(right),
            }
        }
        sees(&self.root, what)
    }

    /// Whether it holds. What has no value, or one that is neither true nor false, does not.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        matches!(value(&self.root, facts), Some(Is::Bool(true)))
    }
}

/// A part of CEL as we take it.
fn node(parsed: &IdedExpr) -> Result<Node, NoExpression> {
    let boxed = |parsed: &IdedExpr| node(parsed).map(Box::new);
    let no = |what: String| Err(NoExpression(what));
    match &parsed.expr {
        Expr::Literal(literal) => Ok(Node::Literal(match literal {
            LiteralValue::Boolean(value) => Value::from(*value.inner()),
            LiteralValue::Double(value) => Value::from(*value.inner()),
            LiteralValue::Int(value) => Value::from(*value.inner()),
            LiteralValue::UInt(value) => Value::from(*value.inner()),
            LiteralValue::String(value) => Value::from(value.inner()),
            LiteralValue::Null => Value::Null,
            LiteralValue::Bytes(_) => return no("bytes are not taken".to_owned()),
        })),
        Expr::List(list) => Ok(Node::List(list.elements.iter().map(node).collect::<Result<_, _>>()?)),
        Expr::Ident(name) => Ok(Node::Path(vec![name.clone()])),
        Expr::Select(select) => {
            let Node::Path(mut path) = node(&select.operand)? else {
                return no(format!("only a name has members: .{}", select.field));
            };
            path.push(select.field.clone());
            Ok(if select.test { Node::Has(path) } else { Node::Path(path) })
        }
        Expr::Call(call) => {
            let operands: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
            match (&*call.func_name, &operands[..]) {
                (operators::LOGICAL_NOT, [of]) => Ok(Node::Not(boxed(of)?)),
                (operators::LOGICAL_AND, [left, right]) => Ok(Node::And(boxed(left)?, boxed(right)?)),
                (operators::LOGICAL_OR, [left, right]) => Ok(Node::Or(boxed(left)?, boxed(right)?)),
                (operators::EQUALS, [left, right]) => Ok(Node::Equal(boxed(left)?, boxed(right)?)),
                (operators::NOT_EQUALS, [left, right]) => {
                    Ok(Node::Not(Box::new(Node::Equal(boxed(left)?, boxed(right)?))))
                }
                (operators::LESS, [left, right]) => Ok(Node::Order(Order::Less, boxed(left)?, boxed(right)?)),
                (operators::LESS_EQUALS, [left, right]) => {
                    Ok(Node::Order(Order::LessOrEqual, boxed(left)?, boxed(right)?))
                }
                (operators::GREATER, [left, right]) => Ok(Node::Order(Order::Greater, boxed(left)?, boxed(right)?)),
                (operators::GREATER_EQUALS, [left, right]) => {
                    Ok(Node::Order(Order::GreaterOrEqual, boxed(left)?, boxed(right)?))
                }
                (operators::IN, [left, right]) => Ok(Node::In(boxed(left)?, boxed(right)?)),
                (operators::INDEX, [of, index]) => match (node(of)?, node(index)?) {
                    (Node::Path(mut path), Node::Literal(Value::String(name))) => {
                        path.push(name);
                        Ok(Node::Path(path))
                    }
                    _ => no("[…] is taken with a name in quotes, behind a name: fields[\"order id\"]".to_owned()),
                },
                (operators::NEGATE, [of]) => match node(of)? {
                    Node::Literal(Value::Number(number)) => Ok(Node::Literal(
                        (number.as_i64().and_then(i64::checked_neg).map(Value::from))
                            .or_else(|| Some(Value::from(-number.as_f64()?)))
                            .unwrap_or_default(),
                    )),
                    _ => no("- is taken before a number only".to_owned()),
                },
                ("size", [of]) => Ok(Node::Size(boxed(of)?)),
                ("contains", [text, part]) => Ok(Node::Text(Text::Contains, boxed(text)?, boxed(part)?)),
                ("startsWith", [text, part]) => Ok(Node::Text(Text::StartsWith, boxed(text)?, boxed(part)?)),
                ("endsWith", [text, part]) => Ok(Node::Text(Text::EndsWith, boxed(text)?, boxed(part)?)),
                (name, _) => no(format!("{} is not taken; {TAKEN}", name.trim_matches('_'))),
            }
        }
        Expr::Comprehension(_) => no(format!("all, exists, map and filter are not taken; {TAKEN}")),
        Expr::Map(_) | Expr::Struct(_) => no(format!("{{…}} is not taken; {TAKEN}")),
        Expr::Unspecified => no("is empty".to_owned()),
    }
}

const TAKEN: &str = "&& || ! == != < <= > >= in has(…) size(…) contains(…) startsWith(…) endsWith(…) are";

/// A value while a condition is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Is<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Texts(&'a [String]),
    /// A list or an object.
    Json(&'a Value),
    /// A list of the condition's own.
    List(&'a [Node]),
}

impl<'a> From<&'a Value> for Is<'a> {
    fn from(value: &'a Value) -> Is<'a> {
        match value {
            Value::Null => Is::Null,
            Value::Bool(value) => Is::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(number) => Is::Int(number),
                None => Is::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Is::Text(text),
            Value::Array(_) | Value::Object(_) => Is::Json(value),
        }
    }
}

/// `None` where it has none.
fn value<'a>(node: &'a Node, facts: &Facts<'a>) -> Option<Is<'a>> {
    let truth = |node: &'a Node| match value(node, facts) {
        Some(Is::Bool(truth)) => Some(truth),
        _ => None,
    };
    Some(match node {
        Node::Literal(literal) => literal.into(),
        Node::List(list) => Is::List(list),
        Node::Path(path) => return facts.get(path),
        // As in CEL, where a member of what is not there is asked for it is an error, not false: only the last may be missing.
        Node::Has(path) => Is::Bool(facts.get(path).is_some()),
        Node::Not(of) => Is::Bool(!truth(of)?),
        // One that decides does so whatever the other is, or that it is none.
        Node::And(left, right) => Is::Bool(match (truth(left), || truth(right)) {
            (Some(false), _) => false,
            (left, right) => match (left, right()) {
                (_, Some(false)) => false,
                (Some(true), Some(true)) => true,
                _ => return None,
            },
        }),
        Node::Or(left, right) => Is::Bool(match (truth(left), || truth(right)) {
            (Some(true), _) => true,
            (left, right) => match (left, right()) {
                (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
        }),
        Node::Equal(left, right) => Is::Bool(equal(value(left, facts)?, value(right, facts)?, facts)?),
        Node::Order(order, left, right) => {
            let compared = compare(value(left, facts)?, value(right, facts)?)?;
            Is::Bool(match order {
                Order::Less => compared == Some(Ordering::Less),
                Order::LessOrEqual => matches!(compared, Some(Ordering::Less | Ordering::Equal)),
                Order::Greater => compared == Some(Ordering::Greater),
                Order::GreaterOrEqual => matches!(compared, Some(Ordering::Greater | Ordering::Equal)),
            })
        }
        Node::In(item, of) => {
            let item = value(item, facts)?;
            Is::Bool(match (value(of, facts)?, item) {
                (Is::List(list), item) => {
                    let mut found = Some(false);
                    for other in list {
                        match value(other, facts).and_then(|other| equal(item, other, facts)) {
                            Some(true) => return Some(Is::Bool(true)),
                            Some(false) => {}
                            None => found = None,
                        }
                    }
                    found?
                }
                (Is::Json(Value::Array(list)), item) => {
                    list.iter().any(|other| equal(item, other.into(), facts) == Some(true))
                }
                (Is::Json(Value::Object(members)), Is::Text(name)) => members.contains_key(name),
                // What could be a key is just not there.
                (Is::Json(Value::Object(_)), Is::Int(_) | Is::Double(_) | Is::Bool(_)) => false,
                (Is::Texts(list), Is::Text(text)) => list.iter().any(|other| other == text),
                (Is::Texts(_), _) => false,
                _ => return None,
            })
        }
        Node::Size(of) => Is::Int(match value(of, facts)? {
            Is::Text(text) => text.chars().count(),
            Is::List(list) => list.len(),
            Is::Texts(list) => list.len(),
            Is::Json(Value::Array(list)) => list.len(),
            Is::Json(Value::Object(members)) => members.len(),
            _ => return None,
        } as i64),
        Node::Text(what, text, part) => match (value(text, facts)?, value(part, facts)?) {
            (Is::Text(text), Is::Text(part)) => Is::Bool(match what {
                Text::Contains => text.contains(part),
                Text::StartsWith => text.starts_with(part),
                Text::EndsWith => text.ends_with(part),
            }),
            _ => return None,
        },
    })
}

fn equal(left: Is<'_>, right: Is<'_>, facts: &Facts<'_>) -> Option<bool> {
    Some(match (left, right) {
        (Is::Null, Is::Null) => true,
        (Is::Bool(left), Is::Bool(right)) => left == right,
        (Is::Text(left), Is::Text(right)) => left == right,
        (Is::Int(_) | Is::Double(_), Is::Int(_) | Is::Double(_)) => {
            compare(left, right).flatten() == Some(Ordering::Equal)
        }
        (Is::Json(left), Is::Json(right)) => left == right,
        (Is::List(list), Is::Json(Value::Array(items))) | (Is::Json(Value::Array(items)), Is::List(list)) => {
            list.len() == items.len()
                && list
                    .iter()
                    .zip(items)
                    .all(|(node, item)| value(node, facts).and_then(|is| equal(is, item.into(), facts)) == Some(true))
        }
        (Is::List(left), Is::List(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    let both = value(left, facts).zip(value(right, facts));
                    both.and_then(|(left, right)| equal(left, right, facts)) == Some(true)
                })
        }
        _ => false,
    })
}

/// `None`: the two cannot be compared. `Some(None)`: one is no number at all (NaN), and neither less nor greater.
fn compare(left: Is<'_>, right: Is<'_>) -> Option<Option<Ordering>> {
    match (left, right) {
        (Is::Int(left), Is::Int(right)) => Some(Some(left.cmp(&right))),
        (Is::Int(left), Is::Double(right)) => Some((left as f64).partial_cmp(&right)),
        (Is::Double(left), Is::Int(right)) => Some(left.partial_cmp(&(right as f64))),
        (Is::Double(left), Is::Double(right)) => Some(left.partial_cmp(&right)),
        (Is::Text(left), Is::Text(right)) => Some(Some(left.cmp(right))),
        (Is::Bool(left), Is::Bool(right)) => Some(Some(left.cmp(&right))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
