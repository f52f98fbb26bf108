"""The table of fields: what each text in the payloads of OCPP is, as far as redaction goes.

By the name of an element; where one name means several things, by the object around it, too. That object is named by
its type in the schemas (2.x), by the element that holds it, or, at the top of a payload, by the action. A test holds
the table against every text in every schema. What no schema knows is judged by the words of its name.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Field(StrEnum):
    """What is done with a value; the value of a member is what the tally calls it."""

    TOKEN = "driver token"  # pseudonym
    EQUIPMENT = "equipment"  # pseudonym, if wanted
    HASH = "certificate hash"  # pseudonym
    NETWORK = "network"  # pseudonym of an address, MAC or name, if wanted
    FILE = "file name"  # pseudonym; its extension stays
    URL = "URL"  # host and path as pseudonyms, no credentials, no query
    SECRET = "password or key"  # blank
    CUSTOMER = "customer"  # blank
    SIM = "SIM card"  # blank
    PLACE = "location"  # blank; addresses and URLs as such
    SIGNED = "signed metering"  # blank, if wanted
    CERTIFICATE = "certificate"  # fingerprint
    TIME = "time"  # shifted, if wanted
    DATA = "data"  # JSON inside, else free text
    FREE = "free text"  # searched, or blank if wanted
    SCAN = "text"  # searched
    STAYS = ""  # known identifiers in it get their pseudonyms
    SETTING = "value of a key"  # as the name of the key or variable says
    MEASURED = "measured value"  # signed metering, if that is its format


_F = Field
REDACTED: Mapping[str, Field] = MappingProxyType(
    {
        **dict.fromkeys(("idTag", "parentIdTag", "idToken", "additionalIdToken", "idTokens"), _F.TOKEN),
        **dict.fromkeys(
            (
                "chargePointSerialNumber", "chargeBoxSerialNumber", "meterSerialNumber", "serialNumber",
                "evInverterSerialNumber", "identity",
            ),
            _F.EQUIPMENT,
        ),
        **dict.fromkeys(("issuerNameHash", "issuerKeyHash"), _F.HASH),
        **dict.fromkeys(("apn", "server"), _F.NETWORK),
        **dict.fromkeys(("fileName", "filename"), _F.FILE),
        **dict.fromkeys(
            ("location", "remoteLocation", "responderURL", "urls", "receiptUrl", "ocppCsmsUrl"), _F.URL
        ),
        **dict.fromkeys(
            ("apnPassword", "apnUserName", "simPin", "password", "user", "group", "basicAuthPassword"), _F.SECRET
        ),
        **dict.fromkeys(
            (
                "customerIdentifier", "prioritizedEMAIDs", "content", "pspRef", "receiptId", "vatNumber", "address1",
                "address2", "city", "postalCode", "country",
            ),
            _F.CUSTOMER,
        ),
        **dict.fromkeys(("iccid", "imsi"), _F.SIM),
        **dict.fromkeys(("signedMeterData", "publicKey"), _F.SIGNED),
        **dict.fromkeys(
            (
                "certificate", "certificateChain", "csr", "signingCertificate", "signature", "exiRequest",
                "exiResponse", "ocspResult", "digestValue", "priceScheduleSignature",
            ),
            _F.CERTIFICATE,
        ),
        "data": _F.DATA,
        **dict.fromkeys(
            (
                "info", "vendorErrorCode", "techInfo", "additionalInfo", "statusInfo", "failureReason", "extraInfo",
                "vendorInfo",
            ),
            _F.FREE,
        ),
        **dict.fromkeys(("attributeValue", "actualValue"), _F.SETTING),
        **dict.fromkeys(
            (
                "messageId", "transactionId", "controlId", "supersededIds", "id", "tariffId", "tariffIds",
                "valuesList", "v", "instance", "techCode", "overstayRuleDescription", "priceScheduleDescription",
                "salesTariffDescription", "taxRuleName", "serviceName", "priceAlgorithm", "customTrigger",
            ),
            _F.SCAN,
        ),
    }
)  # fmt: skip
"""Elements that are redacted, wherever they stand."""
BY_OWNER: Mapping[tuple[str, str], Field] = MappingProxyType(
    {
        ("CertificateHashDataType", "serialNumber"): _F.HASH,
        ("OCSPRequestDataType", "serialNumber"): _F.HASH,
        ("certificateHashData", "serialNumber"): _F.HASH,
        ("VPNType", "key"): _F.SECRET,
        ("vpn", "key"): _F.SECRET,
        ("AddressType", "name"): _F.CUSTOMER,
        ("company", "name"): _F.CUSTOMER,
        ("vatCompany", "name"): _F.CUSTOMER,
        ("NotifyCustomerInformation", "data"): _F.CUSTOMER,
        ("ChangeConfiguration", "value"): _F.SETTING,
        ("configurationKey", "value"): _F.SETTING,
        ("VariableAttributeType", "value"): _F.SETTING,
        ("variableAttribute", "value"): _F.SETTING,
        ("sampledValue", "value"): _F.MEASURED,
        ("sampledValue", "location"): _F.STAYS,
    }
)
"""Elements that mean something else in one object than in others."""
STAYS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("chargePointModel", "chargePointVendor", "vendorName", "model", "firmwareVersion", "meterType"),
            "names a product, of which there are many",
        ),
        **dict.fromkeys(
            ("evInverterManufacturer", "evInverterModel", "evInverterHwVersion", "evInverterSwVersion"),
            "names a product, of which there are many",
        ),
        "vendorId": "names a vendor",
        **dict.fromkeys(("key", "unknownKey"), "names a configuration key, not its value"),
        "name": "names a component or a variable",
        **dict.fromkeys(("reasonCode", "type"), "a word that a specification or a vendor has chosen"),
        "chargingLimitSource": "a kind of source",
        "connectorType": "a kind of connector",
        **dict.fromkeys(("language", "language1", "language2", "currency"), "a code of a language or currency"),
        **dict.fromkeys(("encodingMethod", "signingMethod"), "names an algorithm"),
        "iso15118SchemaVersion": "names a version",
        **dict.fromkeys(("paymentBrand", "paymentRecognition"), "a kind of payment in a tariff, not somebody's card"),
        "preferredNetwork": "a network operator's number",
        "checksum": "of a firmware, which many stations have",
        "unit": "a unit of measure",
        **dict.fromkeys(
            ("startTimeOfDay", "endTimeOfDay", "validFromDate", "validToDate"), "a time of day or date in a tariff"
        ),
        "value": "a number, unless its key or its format says more",
    }
)  # fmt: skip
"""Texts that stay, and why."""
MASTER_GROUP = "MasterPassGroupId"
KEPT_SETTINGS = frozenset(
    {
        "getconfigurationmaxkeys", "publickeywithsignedmetervalue", "websocketpinginterval", "localpreauthorize",
        "authorizeremotetxrequests", "masterpasstimeout", "tokentype", "secureconnection", "certificateentries",
    }
)  # fmt: skip
"""Keys and variables whose names sound like a secret and whose values are none."""

_AMBIGUOUS = frozenset({"location", "apn"})
_NAMING = frozenset(_F) - {_F.DATA, _F.FREE, _F.SCAN, _F.STAYS, _F.SETTING, _F.MEASURED, _F.TIME}
_SPELLED = {name.lower(): field for name, field in REDACTED.items() if field in _NAMING and name not in _AMBIGUOUS}
_KEYED = frozenset({"authorizationkey", "basicauthpassword"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_PART = re.compile(
    r"pass(?!ed|ive)|pwd|secret|credential|authorizationkey|apikey|privatekey|psk|jwt|bearer|cookie"
)
_SECRET_WORDS = frozenset({"key", "pin", "puk", "token", "apn", "psk", "pw", "otp", "cvc", "cvv"})
_SECRET_ENDS = ("simpin", "pincode", "accesstoken", "authtoken")
_TOKEN_PART = re.compile(
    r"id_?tag|idtoken|rfid|emaid|evccid|contractid|cardnumber|cardno|carduid|badge|licen[sc]eplate|numberplate|evcoid"
)
_TOKEN_WORDS = frozenset({"uid", "card", "vin", "vid", "plate", "tag"})
_SIM_PART = re.compile(r"iccid|imsi|imei|msisdn|phone|simnumber|(?<!se)ccid")
_PLACE_PART = re.compile(r"latitude|longitude|gps|street|postal|postcode|zipcode|geolocation|geo_?coord|coordinate")
_PLACE_WORDS = frozenset({"lat", "lon", "lng", "long", "city", "zip", "address", "geo", "location"})
_CUSTOMER_PART = re.compile(
    r"firstname|lastname|surname|fullname|username|customer|email|birth|cardholder|accountholder|iban|vatnumber|driver|"
    r"personname|displayname|owner"
)
_CUSTOMER_WORDS = frozenset({"user", "email", "mail", "login", "account", "person"})
_EQUIPMENT_PART = re.compile(
    r"serial|seccid|chargepointid|chargeboxid|stationid|chargerid|cpid|evseid|identity|deviceid"
)
_NETWORK_PART = re.compile(
    r"macaddress|ipaddress|ipaddr|hostname|ssid|domain|subnet|netmask|gateway|nameserver|dns|macaddr"
)
_NETWORK_WORDS = frozenset({"ip", "mac", "host", "server", "broker", "proxy", "ntp", "bssid"})
_URL_PART = re.compile(r"url|uri|href|endpoint|webhook")
_CERTIFICATE_PART = re.compile(r"certificate(?!s?(?:entries|check|count|type|status|wait|store))|\bcsr\b|publickey")
_COUNTS = re.compile(
    r"(?:interval|enabled|supported|size|count|entries|limit|period|timeout|available|active|max\w*|retries|type|status|"
    r"length|repeat|minimum|duration|attempts)$"
)


@lru_cache(8192)
def by_words(name: str) -> Field:
    """What a name of anybody's choosing says of its value; SCAN if it says nothing."""
    name = name[:128]
    low = re.sub(r"[^a-z0-9]", "", name.lower())
    words = {word.lower() for word in _WORD.findall(name)}
    if low in KEPT_SETTINGS:
        return Field.STAYS
    if low.startswith(MASTER_GROUP.lower()):
        return Field.TOKEN
    if low in _SPELLED:
        return _SPELLED[low]
    if _TOKEN_PART.search(low) or words & _TOKEN_WORDS:
        return _unless_count(low, Field.TOKEN)
    for part, known, field in _RULES:
        if part.search(low) or words & known:
            return _unless_count(low, field)
    return Field.SECRET if low.endswith(_SECRET_ENDS) else Field.SCAN


def _unless_count(low: str, field: Field) -> Field:
    """A name that ends like that of a number or a switch has a value that is searched only, unless it is a secret."""
    return Field.SCAN if _COUNTS.search(low) and field is not Field.SECRET else field


_RULES = (
    (_SIM_PART, frozenset[str](), Field.SIM),
    (_CERTIFICATE_PART, frozenset[str](), Field.CERTIFICATE),
    (_SECRET_PART, _SECRET_WORDS, Field.SECRET),
    (_URL_PART, frozenset[str](), Field.URL),
    (_NETWORK_PART, _NETWORK_WORDS, Field.NETWORK),
    (_CUSTOMER_PART, _CUSTOMER_WORDS, Field.CUSTOMER),
    (_EQUIPMENT_PART, frozenset[str](), Field.EQUIPMENT),
    (_PLACE_PART, _PLACE_WORDS, Field.PLACE),
)


def is_hex_key(name: str) -> bool:
    """Whether the value of a key or variable of this name may be a password written in hex."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _KEYED


def decided(owner: str, name: str) -> Field | None:
    """What the table says of an element; None: it does not know it."""
    known = BY_OWNER.get((owner, name))
    if known is None:
        known = REDACTED.get(name)
    return Field.STAYS if known is None and name in STAYS else known
