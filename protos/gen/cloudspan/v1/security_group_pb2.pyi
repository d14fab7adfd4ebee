import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import annotations_pb2 as _annotations_pb2_1
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import field_info_pb2 as _field_info_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SecurityGroup(_message.Message):
    __slots__ = ("name", "display_name", "project", "labels", "create_time", "update_time", "observe_time", "native", "description", "stateful", "rules", "is_default", "port_count", "enabled", "etag")
    class Rule(_message.Message):
        __slots__ = ("id", "direction", "ip_version", "protocol", "port_range_min", "port_range_max", "remote_cidr", "remote_security_group", "remote_address_group", "description", "action", "enabled", "priority", "built_in", "unsupported_match")
        class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            DIRECTION_UNSPECIFIED: _ClassVar[SecurityGroup.Rule.Direction]
            DIRECTION_INGRESS: _ClassVar[SecurityGroup.Rule.Direction]
            DIRECTION_EGRESS: _ClassVar[SecurityGroup.Rule.Direction]
            DIRECTION_UNKNOWN: _ClassVar[SecurityGroup.Rule.Direction]
        DIRECTION_UNSPECIFIED: SecurityGroup.Rule.Direction
        DIRECTION_INGRESS: SecurityGroup.Rule.Direction
        DIRECTION_EGRESS: SecurityGroup.Rule.Direction
        DIRECTION_UNKNOWN: SecurityGroup.Rule.Direction
        class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            ACTION_UNSPECIFIED: _ClassVar[SecurityGroup.Rule.Action]
            ACTION_ALLOW: _ClassVar[SecurityGroup.Rule.Action]
            ACTION_DROP: _ClassVar[SecurityGroup.Rule.Action]
            ACTION_UNKNOWN: _ClassVar[SecurityGroup.Rule.Action]
        ACTION_UNSPECIFIED: SecurityGroup.Rule.Action
        ACTION_ALLOW: SecurityGroup.Rule.Action
        ACTION_DROP: SecurityGroup.Rule.Action
        ACTION_UNKNOWN: SecurityGroup.Rule.Action
        class UnsupportedMatchEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        ID_FIELD_NUMBER: _ClassVar[int]
        DIRECTION_FIELD_NUMBER: _ClassVar[int]
        IP_VERSION_FIELD_NUMBER: _ClassVar[int]
        PROTOCOL_FIELD_NUMBER: _ClassVar[int]
        PORT_RANGE_MIN_FIELD_NUMBER: _ClassVar[int]
        PORT_RANGE_MAX_FIELD_NUMBER: _ClassVar[int]
        REMOTE_CIDR_FIELD_NUMBER: _ClassVar[int]
        REMOTE_SECURITY_GROUP_FIELD_NUMBER: _ClassVar[int]
        REMOTE_ADDRESS_GROUP_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        ACTION_FIELD_NUMBER: _ClassVar[int]
        ENABLED_FIELD_NUMBER: _ClassVar[int]
        PRIORITY_FIELD_NUMBER: _ClassVar[int]
        BUILT_IN_FIELD_NUMBER: _ClassVar[int]
        UNSUPPORTED_MATCH_FIELD_NUMBER: _ClassVar[int]
        id: str
        direction: SecurityGroup.Rule.Direction
        ip_version: _common_pb2.IpVersion
        protocol: str
        port_range_min: int
        port_range_max: int
        remote_cidr: str
        remote_security_group: str
        remote_address_group: str
        description: str
        action: SecurityGroup.Rule.Action
        enabled: bool
        priority: int
        built_in: bool
        unsupported_match: _containers.ScalarMap[str, str]
        def __init__(self, id: _Optional[str] = ..., direction: _Optional[_Union[SecurityGroup.Rule.Direction, str]] = ..., ip_version: _Optional[_Union[_common_pb2.IpVersion, str]] = ..., protocol: _Optional[str] = ..., port_range_min: _Optional[int] = ..., port_range_max: _Optional[int] = ..., remote_cidr: _Optional[str] = ..., remote_security_group: _Optional[str] = ..., remote_address_group: _Optional[str] = ..., description: _Optional[str] = ..., action: _Optional[_Union[SecurityGroup.Rule.Action, str]] = ..., enabled: _Optional[bool] = ..., priority: _Optional[int] = ..., built_in: _Optional[bool] = ..., unsupported_match: _Optional[_Mapping[str, str]] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATEFUL_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    PORT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    description: str
    stateful: bool
    rules: _containers.RepeatedCompositeFieldContainer[SecurityGroup.Rule]
    is_default: bool
    port_count: int
    enabled: bool
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., description: _Optional[str] = ..., stateful: _Optional[bool] = ..., rules: _Optional[_Iterable[_Union[SecurityGroup.Rule, _Mapping]]] = ..., is_default: _Optional[bool] = ..., port_count: _Optional[int] = ..., enabled: _Optional[bool] = ..., etag: _Optional[str] = ...) -> None: ...

class GetSecurityGroupRequest(_message.Message):
    __slots__ = ("name", "view", "read_mask", "max_staleness", "stale_ok")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListSecurityGroupsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view", "read_mask", "max_staleness", "stale_ok")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListSecurityGroupsResponse(_message.Message):
    __slots__ = ("security_groups", "next_page_token", "unreachable", "cluster_status")
    SECURITY_GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    security_groups: _containers.RepeatedCompositeFieldContainer[SecurityGroup]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, security_groups: _Optional[_Iterable[_Union[SecurityGroup, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateSecurityGroupRequest(_message.Message):
    __slots__ = ("parent", "security_group", "rules", "validate_only", "options", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SECURITY_GROUP_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    security_group: SecurityGroup
    rules: _containers.RepeatedCompositeFieldContainer[SecurityGroup.Rule]
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., security_group: _Optional[_Union[SecurityGroup, _Mapping]] = ..., rules: _Optional[_Iterable[_Union[SecurityGroup.Rule, _Mapping]]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateSecurityGroupRequest(_message.Message):
    __slots__ = ("security_group", "update_mask", "validate_only", "options", "request_id")
    SECURITY_GROUP_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    security_group: SecurityGroup
    update_mask: _field_mask_pb2.FieldMask
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, security_group: _Optional[_Union[SecurityGroup, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteSecurityGroupRequest(_message.Message):
    __slots__ = ("name", "etag", "allow_missing", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    allow_missing: bool
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., allow_missing: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReplaceRulesRequest(_message.Message):
    __slots__ = ("name", "rules", "etag", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    rules: _containers.RepeatedCompositeFieldContainer[SecurityGroup.Rule]
    etag: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[SecurityGroup.Rule, _Mapping]]] = ..., etag: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class AddRulesRequest(_message.Message):
    __slots__ = ("name", "rules", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    rules: _containers.RepeatedCompositeFieldContainer[SecurityGroup.Rule]
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[SecurityGroup.Rule, _Mapping]]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveRulesRequest(_message.Message):
    __slots__ = ("name", "rule_ids", "allow_missing", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_IDS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    rule_ids: _containers.RepeatedScalarFieldContainer[str]
    allow_missing: bool
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., rule_ids: _Optional[_Iterable[str]] = ..., allow_missing: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...
