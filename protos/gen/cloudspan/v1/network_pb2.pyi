import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from cloudspan.v1 import common_pb2 as _common_pb2
from cloudspan.v1 import subnet_pb2 as _subnet_pb2
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

class Network(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "description", "shared", "external", "mtu", "admin_up", "port_security_enabled", "subnets", "network_type", "segmentation_id", "native_network_type", "physical_network", "kind", "zones", "dns_domain", "fault", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Network.State]
        STATE_CREATING: _ClassVar[Network.State]
        STATE_ACTIVE: _ClassVar[Network.State]
        STATE_DOWN: _ClassVar[Network.State]
        STATE_DELETING: _ClassVar[Network.State]
        STATE_ERROR: _ClassVar[Network.State]
        STATE_UNKNOWN: _ClassVar[Network.State]
    STATE_UNSPECIFIED: Network.State
    STATE_CREATING: Network.State
    STATE_ACTIVE: Network.State
    STATE_DOWN: Network.State
    STATE_DELETING: Network.State
    STATE_ERROR: Network.State
    STATE_UNKNOWN: Network.State
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Network.Kind]
        KIND_FLAT: _ClassVar[Network.Kind]
        KIND_ROUTED: _ClassVar[Network.Kind]
        KIND_UNKNOWN: _ClassVar[Network.Kind]
    KIND_UNSPECIFIED: Network.Kind
    KIND_FLAT: Network.Kind
    KIND_ROUTED: Network.Kind
    KIND_UNKNOWN: Network.Kind
    class NetworkType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NETWORK_TYPE_UNSPECIFIED: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_FLAT: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_VLAN: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_VXLAN: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_GRE: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_GENEVE: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_LOCAL: _ClassVar[Network.NetworkType]
        NETWORK_TYPE_UNKNOWN: _ClassVar[Network.NetworkType]
    NETWORK_TYPE_UNSPECIFIED: Network.NetworkType
    NETWORK_TYPE_FLAT: Network.NetworkType
    NETWORK_TYPE_VLAN: Network.NetworkType
    NETWORK_TYPE_VXLAN: Network.NetworkType
    NETWORK_TYPE_GRE: Network.NetworkType
    NETWORK_TYPE_GENEVE: Network.NetworkType
    NETWORK_TYPE_LOCAL: Network.NetworkType
    NETWORK_TYPE_UNKNOWN: Network.NetworkType
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
    SHARED_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    ADMIN_UP_FIELD_NUMBER: _ClassVar[int]
    PORT_SECURITY_ENABLED_FIELD_NUMBER: _ClassVar[int]
    SUBNETS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TYPE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTATION_ID_FIELD_NUMBER: _ClassVar[int]
    NATIVE_NETWORK_TYPE_FIELD_NUMBER: _ClassVar[int]
    PHYSICAL_NETWORK_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    DNS_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Network.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    description: str
    shared: bool
    external: bool
    mtu: int
    admin_up: bool
    port_security_enabled: bool
    subnets: _containers.RepeatedScalarFieldContainer[str]
    network_type: Network.NetworkType
    segmentation_id: int
    native_network_type: str
    physical_network: str
    kind: Network.Kind
    zones: _containers.RepeatedScalarFieldContainer[str]
    dns_domain: str
    fault: _common_pb2.Fault
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Network.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., description: _Optional[str] = ..., shared: _Optional[bool] = ..., external: _Optional[bool] = ..., mtu: _Optional[int] = ..., admin_up: _Optional[bool] = ..., port_security_enabled: _Optional[bool] = ..., subnets: _Optional[_Iterable[str]] = ..., network_type: _Optional[_Union[Network.NetworkType, str]] = ..., segmentation_id: _Optional[int] = ..., native_network_type: _Optional[str] = ..., physical_network: _Optional[str] = ..., kind: _Optional[_Union[Network.Kind, str]] = ..., zones: _Optional[_Iterable[str]] = ..., dns_domain: _Optional[str] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetNetworkRequest(_message.Message):
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

class ListNetworksRequest(_message.Message):
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

class ListNetworksResponse(_message.Message):
    __slots__ = ("networks", "next_page_token", "unreachable", "cluster_status")
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    networks: _containers.RepeatedCompositeFieldContainer[Network]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, networks: _Optional[_Iterable[_Union[Network, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateNetworkRequest(_message.Message):
    __slots__ = ("parent", "network", "subnets", "router", "validate_only", "options", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SUBNETS_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    network: Network
    subnets: _containers.RepeatedCompositeFieldContainer[NewSubnet]
    router: NewRouter
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., network: _Optional[_Union[Network, _Mapping]] = ..., subnets: _Optional[_Iterable[_Union[NewSubnet, _Mapping]]] = ..., router: _Optional[_Union[NewRouter, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class NewSubnet(_message.Message):
    __slots__ = ("display_name", "description", "labels", "cidr", "ip_version", "gateway_ip", "dhcp_enabled", "allocation_pools", "dns_nameservers", "host_routes")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CIDR_FIELD_NUMBER: _ClassVar[int]
    IP_VERSION_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_IP_FIELD_NUMBER: _ClassVar[int]
    DHCP_ENABLED_FIELD_NUMBER: _ClassVar[int]
    ALLOCATION_POOLS_FIELD_NUMBER: _ClassVar[int]
    DNS_NAMESERVERS_FIELD_NUMBER: _ClassVar[int]
    HOST_ROUTES_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    description: str
    labels: _containers.ScalarMap[str, str]
    cidr: str
    ip_version: _common_pb2.IpVersion
    gateway_ip: str
    dhcp_enabled: bool
    allocation_pools: _containers.RepeatedCompositeFieldContainer[_subnet_pb2.Subnet.AllocationPool]
    dns_nameservers: _containers.RepeatedScalarFieldContainer[str]
    host_routes: _containers.RepeatedCompositeFieldContainer[_subnet_pb2.Subnet.HostRoute]
    def __init__(self, display_name: _Optional[str] = ..., description: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., cidr: _Optional[str] = ..., ip_version: _Optional[_Union[_common_pb2.IpVersion, str]] = ..., gateway_ip: _Optional[str] = ..., dhcp_enabled: _Optional[bool] = ..., allocation_pools: _Optional[_Iterable[_Union[_subnet_pb2.Subnet.AllocationPool, _Mapping]]] = ..., dns_nameservers: _Optional[_Iterable[str]] = ..., host_routes: _Optional[_Iterable[_Union[_subnet_pb2.Subnet.HostRoute, _Mapping]]] = ...) -> None: ...

class NewRouter(_message.Message):
    __slots__ = ("router", "display_name", "external_network")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_NETWORK_FIELD_NUMBER: _ClassVar[int]
    router: str
    display_name: str
    external_network: str
    def __init__(self, router: _Optional[str] = ..., display_name: _Optional[str] = ..., external_network: _Optional[str] = ...) -> None: ...

class DeleteNetworkRequest(_message.Message):
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
