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

class Volume(_message.Message):
    __slots__ = ("name", "display_name", "state", "native_state", "project", "labels", "create_time", "update_time", "observe_time", "native", "size_bytes", "volume_type", "description", "zone", "bootable", "encrypted", "multi_attach", "image", "snapshot", "attachments", "source_volume", "kind", "storage_pool", "host", "image_properties", "migration_status", "fault", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Volume.State]
        STATE_CREATING: _ClassVar[Volume.State]
        STATE_AVAILABLE: _ClassVar[Volume.State]
        STATE_RESERVED: _ClassVar[Volume.State]
        STATE_IN_USE: _ClassVar[Volume.State]
        STATE_DETACHING: _ClassVar[Volume.State]
        STATE_RESIZING: _ClassVar[Volume.State]
        STATE_MIGRATING: _ClassVar[Volume.State]
        STATE_BACKING_UP: _ClassVar[Volume.State]
        STATE_DELETING: _ClassVar[Volume.State]
        STATE_SOFT_DELETED: _ClassVar[Volume.State]
        STATE_MAINTENANCE: _ClassVar[Volume.State]
        STATE_ERROR: _ClassVar[Volume.State]
        STATE_UNKNOWN: _ClassVar[Volume.State]
    STATE_UNSPECIFIED: Volume.State
    STATE_CREATING: Volume.State
    STATE_AVAILABLE: Volume.State
    STATE_RESERVED: Volume.State
    STATE_IN_USE: Volume.State
    STATE_DETACHING: Volume.State
    STATE_RESIZING: Volume.State
    STATE_MIGRATING: Volume.State
    STATE_BACKING_UP: Volume.State
    STATE_DELETING: Volume.State
    STATE_SOFT_DELETED: Volume.State
    STATE_MAINTENANCE: Volume.State
    STATE_ERROR: Volume.State
    STATE_UNKNOWN: Volume.State
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Volume.Kind]
        KIND_ROOT: _ClassVar[Volume.Kind]
        KIND_DATA: _ClassVar[Volume.Kind]
        KIND_UNKNOWN: _ClassVar[Volume.Kind]
    KIND_UNSPECIFIED: Volume.Kind
    KIND_ROOT: Volume.Kind
    KIND_DATA: Volume.Kind
    KIND_UNKNOWN: Volume.Kind
    class Attachment(_message.Message):
        __slots__ = ("server", "device", "attach_time", "id")
        SERVER_FIELD_NUMBER: _ClassVar[int]
        DEVICE_FIELD_NUMBER: _ClassVar[int]
        ATTACH_TIME_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        server: str
        device: str
        attach_time: _timestamp_pb2.Timestamp
        id: str
        def __init__(self, server: _Optional[str] = ..., device: _Optional[str] = ..., attach_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ImagePropertiesEntry(_message.Message):
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
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VOLUME_TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    BOOTABLE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    MULTI_ATTACH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VOLUME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STORAGE_POOL_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    MIGRATION_STATUS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Volume.State
    native_state: str
    project: str
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    size_bytes: int
    volume_type: str
    description: str
    zone: str
    bootable: bool
    encrypted: bool
    multi_attach: bool
    image: str
    snapshot: str
    attachments: _containers.RepeatedCompositeFieldContainer[Volume.Attachment]
    source_volume: str
    kind: Volume.Kind
    storage_pool: str
    host: str
    image_properties: _containers.ScalarMap[str, str]
    migration_status: str
    fault: _common_pb2.Fault
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Volume.State, str]] = ..., native_state: _Optional[str] = ..., project: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., size_bytes: _Optional[int] = ..., volume_type: _Optional[str] = ..., description: _Optional[str] = ..., zone: _Optional[str] = ..., bootable: _Optional[bool] = ..., encrypted: _Optional[bool] = ..., multi_attach: _Optional[bool] = ..., image: _Optional[str] = ..., snapshot: _Optional[str] = ..., attachments: _Optional[_Iterable[_Union[Volume.Attachment, _Mapping]]] = ..., source_volume: _Optional[str] = ..., kind: _Optional[_Union[Volume.Kind, str]] = ..., storage_pool: _Optional[str] = ..., host: _Optional[str] = ..., image_properties: _Optional[_Mapping[str, str]] = ..., migration_status: _Optional[str] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetVolumeRequest(_message.Message):
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

class ListVolumesRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view", "read_mask", "show_deleted", "max_staleness", "stale_ok")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    show_deleted: bool
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., show_deleted: _Optional[bool] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListVolumesResponse(_message.Message):
    __slots__ = ("volumes", "next_page_token", "unreachable", "cluster_status")
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    volumes: _containers.RepeatedCompositeFieldContainer[Volume]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, volumes: _Optional[_Iterable[_Union[Volume, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...

class CreateVolumeRequest(_message.Message):
    __slots__ = ("parent", "volume", "validate_only", "options", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    volume: Volume
    validate_only: bool
    options: _struct_pb2.Struct
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., volume: _Optional[_Union[Volume, _Mapping]] = ..., validate_only: _Optional[bool] = ..., options: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteVolumeRequest(_message.Message):
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
