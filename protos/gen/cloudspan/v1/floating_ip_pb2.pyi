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

class FloatingIp(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "description", "ip_address", "external_network", "port", "fixed_ip_address", "router", "server", "dns_name", "dns_domain", "fault", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[FloatingIp.State]
        STATE_CREATING: _ClassVar[FloatingIp.State]
        STATE_ACTIVE: _ClassVar[FloatingIp.State]
        STATE_DOWN: _ClassVar[FloatingIp.State]
        STATE_DELETING: _ClassVar[FloatingIp.State]
        STATE_ERROR: _ClassVar[FloatingIp.State]
        STATE_UNKNOWN: _ClassVar[FloatingIp.State]
    STATE_UNSPECIFIED: FloatingIp.State
    STATE_CREATING: FloatingIp.State
    STATE_ACTIVE: FloatingIp.State
    STATE_DOWN: FloatingIp.State
    STATE_DELETING: FloatingIp.State
    STATE_ERROR: FloatingIp.State
    STATE_UNKNOWN: FloatingIp.State
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_STATE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_NETWORK_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    FIXED_IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DNS_NAME_FIELD_NUMBER: _ClassVar[int]
    DNS_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: FloatingIp.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    description: str
    ip_address: str
    external_network: str
    port: str
    fixed_ip_address: str
    router: str
    server: str
    dns_name: str
    dns_domain: str
    fault: _common_pb2.Fault
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[FloatingIp.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., description: _Optional[str] = ..., ip_address: _Optional[str] = ..., external_network: _Optional[str] = ..., port: _Optional[str] = ..., fixed_ip_address: _Optional[str] = ..., router: _Optional[str] = ..., server: _Optional[str] = ..., dns_name: _Optional[str] = ..., dns_domain: _Optional[str] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetFloatingIpRequest(_message.Message):
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

class ListFloatingIpsRequest(_message.Message):
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

class ListFloatingIpsResponse(_message.Message):
    __slots__ = ("floating_ips", "next_page_token", "unreachable", "cluster_status")
    FLOATING_IPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    floating_ips: _containers.RepeatedCompositeFieldContainer[FloatingIp]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, floating_ips: _Optional[_Iterable[_Union[FloatingIp, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateFloatingIpRequest(_message.Message):
    __slots__ = ("parent", "floating_ip", "validate_only", "options", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    FLOATING_IP_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    floating_ip: FloatingIp
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., floating_ip: _Optional[_Union[FloatingIp, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateFloatingIpRequest(_message.Message):
    __slots__ = ("floating_ip", "update_mask", "validate_only", "options", "request_id")
    FLOATING_IP_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    floating_ip: FloatingIp
    update_mask: _field_mask_pb2.FieldMask
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, floating_ip: _Optional[_Union[FloatingIp, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteFloatingIpRequest(_message.Message):
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

class AssociateFloatingIpRequest(_message.Message):
    __slots__ = ("name", "port", "server", "fixed_ip_address", "reassign", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    FIXED_IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REASSIGN_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    port: str
    server: str
    fixed_ip_address: str
    reassign: bool
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., port: _Optional[str] = ..., server: _Optional[str] = ..., fixed_ip_address: _Optional[str] = ..., reassign: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DisassociateFloatingIpRequest(_message.Message):
    __slots__ = ("name", "validate_only", "options", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...
