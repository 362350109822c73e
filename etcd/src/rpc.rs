//! The calls of etcd's API that this crate uses.
//!
//! `rpc/generated.rs` is what `tonic-prost-build` 0.14 makes of `proto/etcd.proto`, without servers, without
//! connecting functions, and without its `#[allow(clippy::all)]`. It is kept here so that a build needs no protobuf compiler.

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "made by tonic-prost-build"
)]
mod generated;

pub(crate) use generated::*;

use compare::{CompareResult, CompareTarget, TargetUnion};
use request_op::Request;

/// A range of keys: from `start` up to and without `end`; empty `end` for the one key `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl KeyRange {
    pub(crate) fn of_prefix(prefix: Vec<u8>) -> Self {
        let mut end = prefix.clone();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                break;
            }
        }
        KeyRange { start: prefix, end }
    }
}

fn compare(
    range: KeyRange,
    result: CompareResult,
    target: CompareTarget,
    union: TargetUnion,
) -> Compare {
    Compare {
        result: result.into(),
        target: target.into(),
        key: range.start,
        target_union: Some(union),
        range_end: range.end,
    }
}

fn one(key: &[u8]) -> KeyRange {
    KeyRange { start: key.to_vec(), end: Vec::new() }
}

/// Holds if there is no such key.
pub(crate) fn is_absent(key: &[u8]) -> Compare {
    is_created_at(key, 0)
}

/// Holds if the key is there and was created at this revision, or is absent for 0.
pub(crate) fn is_created_at(key: &[u8], revision: i64) -> Compare {
    let union = TargetUnion::CreateRevision(revision);
    compare(one(key), CompareResult::Equal, CompareTarget::Create, union)
}

/// Holds if no key of the range is there.
pub(crate) fn is_empty(range: KeyRange) -> Compare {
    let union = TargetUnion::CreateRevision(0);
    compare(range, CompareResult::Equal, CompareTarget::Create, union)
}

/// Holds if the key was last written at this revision, or is absent for 0.
pub(crate) fn is_unchanged(key: &[u8], revision: i64) -> Compare {
    let union = TargetUnion::ModRevision(revision);
    compare(one(key), CompareResult::Equal, CompareTarget::Mod, union)
}

/// Holds if no key that is in the range was written after this revision. A key that was deleted is not in it.
pub(crate) fn has_no_write_after(range: KeyRange, revision: i64) -> Compare {
    let union = TargetUnion::ModRevision(revision + 1);
    compare(range, CompareResult::Less, CompareTarget::Mod, union)
}

/// Holds if the key is there with this value.
pub(crate) fn has_value(key: &[u8], value: &[u8]) -> Compare {
    let union = TargetUnion::Value(value.to_vec());
    compare(one(key), CompareResult::Equal, CompareTarget::Value, union)
}

pub(crate) fn put(key: Vec<u8>, value: impl Into<Vec<u8>>, lease: i64) -> RequestOp {
    let request = PutRequest { key, value: value.into(), lease, ..PutRequest::default() };
    RequestOp { request: Some(Request::RequestPut(request)) }
}

pub(crate) fn delete(key: Vec<u8>) -> RequestOp {
    let request = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
    RequestOp { request: Some(Request::RequestDeleteRange(request)) }
}

/// A transaction within another one.
pub(crate) fn nested(txn: TxnRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestTxn(txn)) }
}

/// The answer to the first transaction within another one.
pub(crate) fn nested_answer(answer: TxnResponse) -> TxnResponse {
    let nested = answer.responses.into_iter().find_map(|response| match response.response {
        Some(response_op::Response::ResponseTxn(txn)) => Some(txn),
        _ => None,
    });
    nested.unwrap_or_default()
}

pub(crate) fn get(key: &[u8]) -> RequestOp {
    get_range(one(key), 0)
}

/// Reads at most `limit` keys of a range, in the order of the keys; 0 for all.
pub(crate) fn get_range(range: KeyRange, limit: i64) -> RequestOp {
    RequestOp { request: Some(Request::RequestRange(range_request(range, limit, 0))) }
}

/// Reads the key of a range that was created first.
pub(crate) fn get_first_created(range: KeyRange) -> RequestOp {
    RequestOp { request: Some(Request::RequestRange(first_created_request(range))) }
}

pub(crate) fn first_created_request(range: KeyRange) -> RangeRequest {
    RangeRequest {
        sort_order: range_request::SortOrder::Ascend.into(),
        sort_target: range_request::SortTarget::Create.into(),
        ..range_request(range, 1, 0)
    }
}

pub(crate) fn key_request(key: &[u8]) -> RangeRequest {
    range_request(one(key), 0, 0)
}

/// At a revision; 0 for the present one.
pub(crate) fn range_request(range: KeyRange, limit: i64, revision: i64) -> RangeRequest {
    RangeRequest { key: range.start, range_end: range.end, limit, revision, ..Default::default() }
}

/// What a transaction's reads have found, in their order.
pub(crate) fn found(response: TxnResponse) -> Vec<RangeResponse> {
    let found = response.responses.into_iter().filter_map(|response| match response.response {
        Some(response_op::Response::ResponseRange(range)) => Some(range),
        _ => None,
    });
    found.collect()
}

pub(crate) fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}
