"""Every text in every schema is decided: nothing is forgotten when a schema grows."""

from __future__ import annotations

import pytest

from ocppscope.redaction.fields import BY_OWNER, REDACTED, STAYS, Field, by_words, decided, is_hex_key
from ocppscope.redaction.shapes import shape
from support_payloads import SUBJECTS, leaves

DECIDED_BY_FORMAT = {"date-time"}


def test_there_are_as_many_schemas_as_were_counted():
    assert len(SUBJECTS) == 387


def test_every_text_of_every_schema_is_in_the_table():
    missing = {
        (leaf.owner, leaf.name, str(subject))
        for subject in SUBJECTS
        for leaf in leaves(subject)
        if leaf.schema.get("format") not in DECIDED_BY_FORMAT and decided(leaf.owner, leaf.name) is None
    }
    assert missing == set()


def test_the_table_holds_no_name_that_no_schema_has():
    names = {leaf.name for subject in SUBJECTS for leaf in leaves(subject)}
    numbers = {"simPin"}
    assert REDACTED.keys() - names - numbers == set()
    assert STAYS.keys() - names == set()


def test_what_stays_has_a_reason_and_is_not_redacted_too():
    assert all(STAYS.values())
    assert STAYS.keys() & REDACTED.keys() == set()


@pytest.mark.parametrize(("owner", "name"), [key for key in BY_OWNER if key[0] not in ("vpn", "company")])
def test_what_a_name_means_somewhere_else(owner, name):
    assert decided(owner, name) is BY_OWNER[owner, name]


def test_compiled_nodes_agree_with_the_table():
    for subject in SUBJECTS:
        top = shape(subject.version, subject.action, response=subject.response)
        for leaf in leaves(subject):
            node = top
            for name in leaf.path.split("/")[1:]:
                node = node.item if node.item is not None else node
                node = (node.members or {}).get(name)
                if node is None:
                    break
            if node is None:  # inside customData, which is read by its names
                assert "/customData/" in leaf.path
                continue
            node = node.item or node
            wanted = Field.TIME if leaf.schema.get("format") == "date-time" else decided(leaf.owner, leaf.name)
            assert node.field is wanted, (str(subject), leaf.path)
            assert node.limit == leaf.schema.get("maxLength")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("AuthorizationKey", Field.SECRET),
        ("BasicAuthPassword", Field.SECRET),
        ("SIM_PIN", Field.SECRET),
        ("SimPin", Field.SECRET),
        ("ApnPassword", Field.SECRET),
        ("vpn_psk", Field.SECRET),
        ("api-key", Field.SECRET),
        ("accessToken", Field.SECRET),
        ("clientSecret", Field.SECRET),
        ("WifiPwd", Field.SECRET),
        ("APN", Field.SECRET),
        ("WebSocketPingInterval", Field.STAYS),
        ("GetConfigurationMaxKeys", Field.STAYS),
        ("HeartbeatInterval", Field.SCAN),
        ("MeterValuesSampledData", Field.SCAN),
        ("LocalAuthListEnabled", Field.SCAN),
        ("AuthorizeRemoteTxRequests", Field.STAYS),
        ("StopTransactionOnInvalidId", Field.SCAN),
        ("SupportedFeatureProfiles", Field.SCAN),
        ("ConnectorPhaseRotation", Field.SCAN),
        ("PublicKeyWithSignedMeterValue", Field.STAYS),
        ("MasterPassGroupId", Field.TOKEN),
        ("idTag", Field.TOKEN),
        ("id_tag", Field.TOKEN),
        ("IdToken", Field.TOKEN),
        ("rfidUid", Field.TOKEN),
        ("uid", Field.TOKEN),
        ("VIN", Field.TOKEN),
        ("licensePlate", Field.TOKEN),
        ("SIM_ICCID", Field.SIM),
        ("MSISDN", Field.SIM),
        ("imei", Field.SIM),
        ("latitude", Field.PLACE),
        ("gpsLng", Field.PLACE),
        ("streetName", Field.PLACE),
        ("lat", Field.PLACE),
        ("email", Field.CUSTOMER),
        ("customerName", Field.CUSTOMER),
        ("MeterSerialNumber", Field.EQUIPMENT),
        ("SeccId", Field.EQUIPMENT),
        ("OcppCsmsUrl", Field.URL),
        ("CentralSystemURL", Field.URL),
        ("MacAddress", Field.NETWORK),
        ("ip", Field.NETWORK),
        ("NtpServerUri", Field.URL),
        ("MeterPublicKey", Field.CERTIFICATE),
        ("CertificateSignedMaxChainSize", Field.SCAN),
        ("AdditionalRootCertificateCheck", Field.SCAN),
        ("CertificateStoreMaxLength", Field.SCAN),
        ("TokenInfo", Field.SECRET),
        ("Language", Field.SCAN),
        ("platform", Field.SCAN),
        ("Latency", Field.SCAN),
    ],
)
def test_what_names_say(name, field):
    assert by_words(name) is field


def test_which_keys_may_be_hex():
    assert [is_hex_key(name) for name in ("AuthorizationKey", "BasicAuthPassword", "WifiKey")] == [True, True, False]
