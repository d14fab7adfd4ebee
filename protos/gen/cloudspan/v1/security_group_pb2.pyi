import datetime

from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
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
    __slots__ = ("name", "display_name", "project", "labels", "create_time", "update_time", "observe_time", "native", "description", "stateful", "rules")
    class Rule(_message.Message):
        __slots__ = ("id", "direction", "ip_version", "protocol", "port_range_min", "port_range_max", "has_port_range", "remote_cidr", "remote_security_group", "description")
        class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            DIRECTION_UNSPECIFIED: _ClassVar[SecurityGroup.Rule.Direction]
            DIRECTION_INGRESS: _ClassVar[SecurityGroup.Rule.Direction]
            DIRECTION_EGRESS: _ClassVar[SecurityGroup.Rule.Direction]
        DIRECTION_UNSPECIFIED: SecurityGroup.Rule.Direction
        DIRECTION_INGRESS: SecurityGroup.Rule.Direction
        DIRECTION_EGRESS: SecurityGroup.Rule.Direction
        ID_FIELD_NUMBER: _ClassVar[int]
        DIRECTION_FIELD_NUMBER: _ClassVar[int]
        IP_VERSION_FIELD_NUMBER: _ClassVar[int]
        PROTOCOL_FIELD_NUMBER: _ClassVar[int]
        PORT_RANGE_MIN_FIELD_NUMBER: _ClassVar[int]
        PORT_RANGE_MAX_FIELD_NUMBER: _ClassVar[int]
        HAS_PORT_RANGE_FIELD_NUMBER: _ClassVar[int]
        REMOTE_CIDR_FIELD_NUMBER: _ClassVar[int]
        REMOTE_SECURITY_GROUP_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        id: str
        direction: SecurityGroup.Rule.Direction
        ip_version: int
        protocol: str
        port_range_min: int
        port_range_max: int
        has_port_range: bool
        remote_cidr: str
        remote_security_group: str
        description: str
        def __init__(self, id: _Optional[str] = ..., direction: _Optional[_Union[SecurityGroup.Rule.Direction, str]] = ..., ip_version: _Optional[int] = ..., protocol: _Optional[str] = ..., port_range_min: _Optional[int] = ..., port_range_max: _Optional[int] = ..., has_port_range: _Optional[bool] = ..., remote_cidr: _Optional[str] = ..., remote_security_group: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...
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
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., description: _Optional[str] = ..., stateful: _Optional[bool] = ..., rules: _Optional[_Iterable[_Union[SecurityGroup.Rule, _Mapping]]] = ...) -> None: ...

class GetSecurityGroupRequest(_message.Message):
    __slots__ = ("name", "view", "read_mask")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class ListSecurityGroupsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view", "read_mask")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

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
