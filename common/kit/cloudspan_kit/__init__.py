"""What an adapter is written with: import from here, nothing deeper.

`Kind` and `KindDriver` serve a collection, `Operation` is what a mutation is written with, the protocols in
`cloudspan_kit.drivers` say which functions there are. docs/add-a-kind.md begins with an example.
"""

from cloudspan_kit import drivers
from cloudspan_kit.cluster import (
    ABSENT,
    BY_KEY,
    BY_MARKER,
    EMULATED,
    NATIVE,
    UNSAFE,
    Call,
    Caller,
    Capability,
    Cluster,
    CreateSafety,
    Driver,
    Level,
    Stage,
)
from cloudspan_kit.cluster_file import ClusterConfigs, ClusterFile, chosen_entries, revision_of
from cloudspan_kit.cluster_status import state_of, token_state_of
from cloudspan_kit.engine.markers import operation_prefix
from cloudspan_kit.engine.suspension import NOT_CARRIED_OUT, TRANSIENT
from cloudspan_kit.engine.verbs import given_up, watch_of
from cloudspan_kit.http.caller import NativeCaller, NativeParts, NativeRequest, path_of, unreadable
from cloudspan_kit.http.connectivity import Connectivity, check_clock, run_stages
from cloudspan_kit.http.guards import Guards
from cloudspan_kit.http.transport import (
    REDIRECTS,
    Answer,
    HttpTransport,
    NoReply,
    NoReplyInTime,
    RequestInfo,
    Trust,
    connection_error,
)
from cloudspan_kit.kind import Kind, KindDriver, Marked, MarkedRows, Marker, Page, Query, RowPage, Source
from cloudspan_kit.lists import push
from cloudspan_kit.lists.rows import MAX_INT, MIN_INT, OTHERS, Rows, Unreadable, read_row, read_rows
from cloudspan_kit.lists.slices import each
from cloudspan_kit.lists.transits import in_transit
from cloudspan_kit.operation import Made, Operation, Watch
from cloudspan_kit.security_rules import Difference, check_rules, difference, key_of, refuse_unsupported, version_of
from cloudspan_kit.serve.context import caller
from cloudspan_kit.serve.options import read_options
from cloudspan_kit.serve.runner import Adapter, AdapterConfig
from cloudspan_kit.serve.runner import serve as serve_adapter
from cloudspan_kit.unusable import UnusableCluster
from cloudspan_kit.values import (
    GIB,
    MIB,
    cloud_words,
    converted,
    copy_fields,
    listed,
    native_id,
    page_words,
    tagged_cloud,
)

__all__ = [
    "ABSENT",
    "BY_KEY",
    "BY_MARKER",
    "EMULATED",
    "GIB",
    "MAX_INT",
    "MIB",
    "MIN_INT",
    "NATIVE",
    "NOT_CARRIED_OUT",
    "OTHERS",
    "REDIRECTS",
    "TRANSIENT",
    "UNSAFE",
    "Adapter",
    "AdapterConfig",
    "Answer",
    "Call",
    "Caller",
    "Capability",
    "Cluster",
    "ClusterConfigs",
    "ClusterFile",
    "Connectivity",
    "CreateSafety",
    "Difference",
    "Driver",
    "Guards",
    "HttpTransport",
    "Kind",
    "KindDriver",
    "Level",
    "Made",
    "Marked",
    "MarkedRows",
    "Marker",
    "NativeCaller",
    "NativeParts",
    "NativeRequest",
    "NoReply",
    "NoReplyInTime",
    "Operation",
    "Page",
    "Query",
    "RequestInfo",
    "RowPage",
    "Rows",
    "Source",
    "Stage",
    "Trust",
    "Unreadable",
    "UnusableCluster",
    "Watch",
    "caller",
    "check_clock",
    "check_rules",
    "chosen_entries",
    "cloud_words",
    "connection_error",
    "converted",
    "copy_fields",
    "difference",
    "drivers",
    "each",
    "given_up",
    "in_transit",
    "key_of",
    "listed",
    "native_id",
    "operation_prefix",
    "page_words",
    "path_of",
    "push",
    "read_options",
    "read_row",
    "read_rows",
    "refuse_unsupported",
    "revision_of",
    "run_stages",
    "serve_adapter",
    "state_of",
    "tagged_cloud",
    "token_state_of",
    "unreadable",
    "version_of",
    "watch_of",
]
