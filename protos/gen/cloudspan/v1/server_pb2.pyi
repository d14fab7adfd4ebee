import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
from google.longrunning import operations_pb2 as _operations_pb2
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

class Server(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "task", "fault", "locked", "flavor", "vcpus", "memory_mib", "image", "zone", "host", "key_pair", "network_interfaces", "volume_attachments", "security_groups", "boot_volume", "user_data", "admin_password", "new_volumes")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Server.State]
        STATE_BUILDING: _ClassVar[Server.State]
        STATE_STARTING: _ClassVar[Server.State]
        STATE_RUNNING: _ClassVar[Server.State]
        STATE_STOPPING: _ClassVar[Server.State]
        STATE_STOPPED: _ClassVar[Server.State]
        STATE_REBOOTING: _ClassVar[Server.State]
        STATE_PAUSED: _ClassVar[Server.State]
        STATE_SUSPENDED: _ClassVar[Server.State]
        STATE_SHELVED: _ClassVar[Server.State]
        STATE_RESCUED: _ClassVar[Server.State]
        STATE_RESIZING: _ClassVar[Server.State]
        STATE_AWAITING_CONFIRM: _ClassVar[Server.State]
        STATE_MIGRATING: _ClassVar[Server.State]
        STATE_REBUILDING: _ClassVar[Server.State]
        STATE_DELETING: _ClassVar[Server.State]
        STATE_SOFT_DELETED: _ClassVar[Server.State]
        STATE_ERROR: _ClassVar[Server.State]
        STATE_UNKNOWN: _ClassVar[Server.State]
    STATE_UNSPECIFIED: Server.State
    STATE_BUILDING: Server.State
    STATE_STARTING: Server.State
    STATE_RUNNING: Server.State
    STATE_STOPPING: Server.State
    STATE_STOPPED: Server.State
    STATE_REBOOTING: Server.State
    STATE_PAUSED: Server.State
    STATE_SUSPENDED: Server.State
    STATE_SHELVED: Server.State
    STATE_RESCUED: Server.State
    STATE_RESIZING: Server.State
    STATE_AWAITING_CONFIRM: Server.State
    STATE_MIGRATING: Server.State
    STATE_REBUILDING: Server.State
    STATE_DELETING: Server.State
    STATE_SOFT_DELETED: Server.State
    STATE_ERROR: Server.State
    STATE_UNKNOWN: Server.State
    class Fault(_message.Message):
        __slots__ = ("code", "message", "create_time")
        CODE_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
        code: int
        message: str
        create_time: _timestamp_pb2.Timestamp
        def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class NetworkInterface(_message.Message):
        __slots__ = ("network", "port", "ip_addresses", "mac_address", "floating_ip_addresses", "network_display_name", "new_port", "floating_network")
        NETWORK_FIELD_NUMBER: _ClassVar[int]
        PORT_FIELD_NUMBER: _ClassVar[int]
        IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
        MAC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        FLOATING_IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
        NETWORK_DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        NEW_PORT_FIELD_NUMBER: _ClassVar[int]
        FLOATING_NETWORK_FIELD_NUMBER: _ClassVar[int]
        network: str
        port: str
        ip_addresses: _containers.RepeatedScalarFieldContainer[str]
        mac_address: str
        floating_ip_addresses: _containers.RepeatedScalarFieldContainer[str]
        network_display_name: str
        new_port: Server.NewPort
        floating_network: str
        def __init__(self, network: _Optional[str] = ..., port: _Optional[str] = ..., ip_addresses: _Optional[_Iterable[str]] = ..., mac_address: _Optional[str] = ..., floating_ip_addresses: _Optional[_Iterable[str]] = ..., network_display_name: _Optional[str] = ..., new_port: _Optional[_Union[Server.NewPort, _Mapping]] = ..., floating_network: _Optional[str] = ...) -> None: ...
    class NewPort(_message.Message):
        __slots__ = ("display_name", "ip_addresses", "security_groups")
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
        SECURITY_GROUPS_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        ip_addresses: _containers.RepeatedScalarFieldContainer[str]
        security_groups: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, display_name: _Optional[str] = ..., ip_addresses: _Optional[_Iterable[str]] = ..., security_groups: _Optional[_Iterable[str]] = ...) -> None: ...
    class NewVolume(_message.Message):
        __slots__ = ("display_name", "size_bytes", "volume_type", "delete_with_server")
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        VOLUME_TYPE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        size_bytes: int
        volume_type: str
        delete_with_server: bool
        def __init__(self, display_name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., volume_type: _Optional[str] = ..., delete_with_server: _Optional[bool] = ...) -> None: ...
    class VolumeAttachment(_message.Message):
        __slots__ = ("volume", "device", "delete_with_server")
        VOLUME_FIELD_NUMBER: _ClassVar[int]
        DEVICE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        volume: str
        device: str
        delete_with_server: bool
        def __init__(self, volume: _Optional[str] = ..., device: _Optional[str] = ..., delete_with_server: _Optional[bool] = ...) -> None: ...
    class BootVolume(_message.Message):
        __slots__ = ("volume", "size_bytes", "volume_type", "delete_with_server")
        VOLUME_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        VOLUME_TYPE_FIELD_NUMBER: _ClassVar[int]
        DELETE_WITH_SERVER_FIELD_NUMBER: _ClassVar[int]
        volume: str
        size_bytes: int
        volume_type: str
        delete_with_server: bool
        def __init__(self, volume: _Optional[str] = ..., size_bytes: _Optional[int] = ..., volume_type: _Optional[str] = ..., delete_with_server: _Optional[bool] = ...) -> None: ...
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
    TASK_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    FLAVOR_FIELD_NUMBER: _ClassVar[int]
    VCPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MIB_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    KEY_PAIR_FIELD_NUMBER: _ClassVar[int]
    NETWORK_INTERFACES_FIELD_NUMBER: _ClassVar[int]
    VOLUME_ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    SECURITY_GROUPS_FIELD_NUMBER: _ClassVar[int]
    BOOT_VOLUME_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    ADMIN_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    NEW_VOLUMES_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Server.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    task: str
    fault: Server.Fault
    locked: bool
    flavor: str
    vcpus: int
    memory_mib: int
    image: str
    zone: str
    host: str
    key_pair: str
    network_interfaces: _containers.RepeatedCompositeFieldContainer[Server.NetworkInterface]
    volume_attachments: _containers.RepeatedCompositeFieldContainer[Server.VolumeAttachment]
    security_groups: _containers.RepeatedScalarFieldContainer[str]
    boot_volume: Server.BootVolume
    user_data: str
    admin_password: str
    new_volumes: _containers.RepeatedCompositeFieldContainer[Server.NewVolume]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Server.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., task: _Optional[str] = ..., fault: _Optional[_Union[Server.Fault, _Mapping]] = ..., locked: _Optional[bool] = ..., flavor: _Optional[str] = ..., vcpus: _Optional[int] = ..., memory_mib: _Optional[int] = ..., image: _Optional[str] = ..., zone: _Optional[str] = ..., host: _Optional[str] = ..., key_pair: _Optional[str] = ..., network_interfaces: _Optional[_Iterable[_Union[Server.NetworkInterface, _Mapping]]] = ..., volume_attachments: _Optional[_Iterable[_Union[Server.VolumeAttachment, _Mapping]]] = ..., security_groups: _Optional[_Iterable[str]] = ..., boot_volume: _Optional[_Union[Server.BootVolume, _Mapping]] = ..., user_data: _Optional[str] = ..., admin_password: _Optional[str] = ..., new_volumes: _Optional[_Iterable[_Union[Server.NewVolume, _Mapping]]] = ...) -> None: ...

class GetServerRequest(_message.Message):
    __slots__ = ("name", "view", "read_mask")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class ListServersRequest(_message.Message):
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

class ListServersResponse(_message.Message):
    __slots__ = ("servers", "next_page_token", "unreachable", "cluster_status")
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[Server]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, servers: _Optional[_Iterable[_Union[Server, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateServerRequest(_message.Message):
    __slots__ = ("parent", "server", "validate_only", "options", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    server: Server
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., server: _Optional[_Union[Server, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteServerRequest(_message.Message):
    __slots__ = ("name", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class StartServerRequest(_message.Message):
    __slots__ = ("name", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class StopServerRequest(_message.Message):
    __slots__ = ("name", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class RebootServerRequest(_message.Message):
    __slots__ = ("name", "mode", "validate_only", "request_id")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[RebootServerRequest.Mode]
        MODE_SOFT: _ClassVar[RebootServerRequest.Mode]
        MODE_HARD: _ClassVar[RebootServerRequest.Mode]
    MODE_UNSPECIFIED: RebootServerRequest.Mode
    MODE_SOFT: RebootServerRequest.Mode
    MODE_HARD: RebootServerRequest.Mode
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    mode: RebootServerRequest.Mode
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., mode: _Optional[_Union[RebootServerRequest.Mode, str]] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class AttachVolumeRequest(_message.Message):
    __slots__ = ("name", "volume", "device", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    volume: str
    device: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., volume: _Optional[str] = ..., device: _Optional[str] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...

class DetachVolumeRequest(_message.Message):
    __slots__ = ("name", "volume", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    volume: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., volume: _Optional[str] = ..., validate_only: _Optional[bool] = ..., request_id: _Optional[str] = ...) -> None: ...
