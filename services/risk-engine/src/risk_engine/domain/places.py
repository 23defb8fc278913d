"""Where countries are, and roughly how far apart: for travel that nobody can have made.

A place is a country. Nothing finer is kept of an address, because nothing finer may be kept of a person for a year
(docs/adr/0129). A country is a circle of its own area around its middle, and a distance is what lies between two
circles: 0 between most neighbours. Not between all: long countries, and those in parts, leave their circles, so that
Singapore and Malaysia are 680 km apart, Estonia and Russia 1,500, Poland and Russia 2,100. Below 2,500 km a distance
proves no flight.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0
MINUTE_MS: Final = 60_000  # the least time between two payments that a speed is made of
HOUR_MS: Final = 60 * MINUTE_MS

# ISO 3166 code, latitude and longitude of the middle in degrees, area in 1,000 km2 (The World Factbook, public domain;
# rounded, and small ones as 1).
_COUNTRIES: Final = """
AD 43 2 1; AE 24 54 84; AF 33 65 652; AG 17 -62 1; AI 18 -63 1; AL 41 20 29; AM 40 45 30; AO -13 19 1247
AQ -90 0 14200; AR -34 -64 2780; AS -14 -171 1; AT 47 13 84; AU -27 133 7741; AW 12 -70 1; AX 60 20 2
AZ 40 47 87; BA 44 18 51; BB 13 -60 1; BD 24 90 148; BE 51 4 31; BF 13 -2 274; BG 43 25 111; BH 26 51 1
BI -4 30 28; BJ 10 2 113; BL 18 -63 1; BM 32 -65 1; BN 4 115 6; BO -17 -65 1099; BQ 12 -68 1
BR -10 -55 8516; BS 24 -76 14; BT 27 90 38; BV -54 3 1; BW -22 24 582; BY 53 28 208; BZ 17 -89 23
CA 60 -95 9985; CC -12 97 1; CD 0 25 2345; CF 7 21 623; CG -1 15 342; CH 47 8 41; CI 8 -5 322; CK -21 -160 1
CL -30 -71 756; CM 6 12 475; CN 35 105 9597; CO 4 -72 1139; CR 10 -84 51; CU 22 -80 111; CV 16 -24 4
CW 12 -69 1; CX -10 106 1; CY 35 33 9; CZ 50 15 79; DE 51 9 357; DJ 11 43 23; DK 56 10 43; DM 15 -61 1
DO 19 -71 49; DZ 28 3 2382; EC -2 -77 284; EE 59 26 45; EG 27 30 1001; EH 25 -14 266; ER 15 39 118
ES 40 -4 505; ET 8 38 1104; FI 64 26 338; FJ -18 175 18; FK -52 -59 12; FM 7 158 1; FO 62 -7 1; FR 46 2 552
GA -1 12 268; GB 54 -2 244; GD 12 -62 1; GE 42 44 70; GF 4 -53 84; GG 49 -3 1; GH 8 -2 239; GI 36 -5 1
GL 72 -40 2166; GM 13 -17 11; GN 11 -10 246; GP 16 -62 2; GQ 2 10 28; GR 39 22 132; GS -54 -37 4
GT 16 -90 109; GU 13 145 1; GW 12 -15 36; GY 5 -59 215; HK 22 114 1; HM -53 73 1; HN 15 -87 112; HR 45 16 57
HT 19 -72 28; HU 47 20 93; ID -5 120 1905; IE 53 -8 70; IL 32 35 22; IM 54 -5 1; IN 20 77 3287; IO -6 72 1
IQ 33 44 438; IR 32 53 1648; IS 65 -18 103; IT 43 13 301; JE 49 -2 1; JM 18 -78 11; JO 31 36 89
JP 36 138 378; KE 1 38 580; KG 41 75 200; KH 13 105 181; KI 1 173 1; KM -12 44 2; KN 17 -63 1; KP 40 127 121
KR 37 128 100; KW 29 48 18; KY 20 -81 1; KZ 48 68 2725; LA 18 105 237; LB 34 36 10; LC 14 -61 1; LI 47 10 1
LK 7 81 66; LR 7 -10 111; LS -30 29 30; LT 56 24 65; LU 50 6 3; LV 57 25 65; LY 25 17 1760; MA 32 -5 447
MC 44 7 1; MD 47 29 34; ME 43 19 14; MF 18 -63 1; MG -20 47 587; MH 9 168 1; MK 42 22 26; ML 17 -4 1240
MM 22 98 677; MN 46 105 1564; MO 22 114 1; MP 15 146 1; MQ 15 -61 1; MR 20 -12 1031; MS 17 -62 1; MT 36 15 1
MU -20 58 2; MV 3 73 1; MW -14 34 118; MX 23 -102 1964; MY 3 113 330; MZ -18 35 799; NA -22 17 824
NC -22 166 19; NE 16 8 1267; NF -29 168 1; NG 10 8 924; NI 13 -85 130; NL 53 6 42; NO 62 10 324
NP 28 84 147; NR -1 167 1; NU -19 -170 1; NZ -41 174 268; OM 21 57 310; PA 9 -80 75; PE -10 -76 1285
PF -15 -140 4; PG -6 147 463; PH 13 122 300; PK 30 70 796; PL 52 20 313; PM 47 -56 1; PN -25 -130 1
PR 18 -66 9; PS 32 35 6; PT 40 -8 92; PW 7 134 1; PY -23 -58 407; QA 26 51 12; RE -21 56 3; RO 46 25 238
RS 44 21 77; RU 60 100 17098; RW -2 30 26; SA 25 45 2150; SB -8 159 29; SC -5 56 1; SD 15 30 1861
SE 62 15 450; SG 1 104 1; SH -16 -6 1; SI 46 15 20; SJ 78 20 62; SK 49 20 49; SL 8 -12 72; SM 44 12 1
SN 14 -14 197; SO 10 49 638; SR 4 -56 164; SS 8 30 644; ST 1 7 1; SV 14 -89 21; SX 18 -63 1; SY 35 38 187
SZ -26 32 17; TC 22 -72 1; TD 15 19 1284; TF -49 70 8; TG 8 1 57; TH 15 100 513; TJ 39 71 144; TK -9 -172 1
TL -9 126 15; TM 40 60 488; TN 34 9 164; TO -20 -175 1; TR 39 35 784; TT 11 -61 5; TV -8 178 1; TW 24 121 36
TZ -6 35 947; UA 49 32 604; UG 1 32 241; UM 19 167 1; US 38 -97 9834; UY -33 -56 176; UZ 41 64 447
VA 42 12 1; VC 13 -61 1; VE 8 -66 912; VG 18 -65 1; VI 18 -65 1; VN 16 108 331; VU -16 167 12; WF -13 -176 1
WS -14 -172 3; XK 43 21 11; YE 15 48 528; YT -13 45 1; ZA -29 24 1219; ZM -15 30 753; ZW -20 30 391
"""


@dataclass(frozen=True, slots=True)
class Circle:
    """A country: the middle in degrees, and the radius of its area as a circle."""

    latitude: float
    longitude: float
    radius_km: float


def _circle(words: str) -> tuple[str, Circle]:
    code, latitude, longitude, area = words.split()
    return code, Circle(float(latitude), float(longitude), math.sqrt(float(area) * 1000 / math.pi))


COUNTRIES: Final[Mapping[str, Circle]] = MappingProxyType(
    dict(_circle(words) for line in _COUNTRIES.strip().splitlines() for words in line.split(";"))
)


def great_circle_km(one: Circle, other: Circle) -> float:
    """Between two middles, over the ground (haversine)."""
    lat_1, lat_2 = math.radians(one.latitude), math.radians(other.latitude)
    turned = math.sin((lat_2 - lat_1) / 2) ** 2
    turned += (
        math.cos(lat_1) * math.cos(lat_2) * math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, turned)))


@lru_cache(maxsize=4096)
def distance_km(one: str, other: str) -> int:
    """Whole kilometres between the circles of two countries; 0 where they meet, and for a country nobody knows."""
    if one == other or one not in COUNTRIES or other not in COUNTRIES:
        return 0
    here, there = COUNTRIES[one], COUNTRIES[other]
    return max(0, math.floor(great_circle_km(here, there) - here.radius_km - there.radius_km))


def speed_kmh(distance: int, elapsed_ms: int) -> int:
    """Whole km/h of who covered `distance` km; payments of the same minute count as one minute apart."""
    return distance * HOUR_MS // max(elapsed_ms, MINUTE_MS)
