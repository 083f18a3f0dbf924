package csi

import (
	"slices"
	"strings"
)

// homeOfTel is the home of a canonical number: the longest prefix decides.
// Numbers of services that belong to no country have none.
func homeOfTel(s string) []string {
	digits := strings.TrimPrefix(s, "+")
	code := countryCode(digits)
	national := digits[len(code):]
	if code == "1" {
		return homeOfNANP(national)
	}
	home, longest := countries[code], 0
	for _, area := range areas {
		if area.code != code {
			continue
		}
		for prefix := range strings.FieldsSeq(area.prefixes) {
			if len(prefix) > longest && strings.HasPrefix(national, prefix) {
				home, longest = area.home, len(prefix)
			}
		}
	}
	return strings.Fields(home)
}

// homeOfNANP is the home of a North American number by its area code. Area
// codes of services (500, 600, 800, 900 …) and those that are not yet in the
// table belong to nobody in particular: unknown, never a default country.
func homeOfNANP(national string) []string {
	if len(national) < 3 {
		return nil
	}
	i := slices.IndexFunc(nanp[:], func(a nanpArea) bool { return strings.Contains(a.codes, national[:3]) })
	if i < 0 {
		return nil
	}
	return []string{nanp[i].home}
}

// countries has every country code that ITU-T E.164 assigns (list of assigned
// country codes, with the Operational Bulletin's amendments), and the home of
// numbers under it, as ISO 3166-1 alpha-2 codes separated by spaces. An empty
// home is a service of all countries. A home of several codes is refined by
// areas, as far as prefixes tell.
//
// Rows are added when ITU assigns a code, and never taken away: what parsed once
// parses for ever. XK is ISO's user-assigned code that is in use for Kosovo.
//
// The map is read only.
var countries = map[string]string{
	"1": "", "7": "KZ RU", // shared; see nanp and areas

	"20": "EG", "27": "ZA", "211": "SS", "212": "MA", "213": "DZ", "216": "TN", "218": "LY",
	"220": "GM", "221": "SN", "222": "MR", "223": "ML", "224": "GN", "225": "CI", "226": "BF", "227": "NE", "228": "TG", "229": "BJ",
	"230": "MU", "231": "LR", "232": "SL", "233": "GH", "234": "NG", "235": "TD", "236": "CF", "237": "CM", "238": "CV", "239": "ST",
	"240": "GQ", "241": "GA", "242": "CG", "243": "CD", "244": "AO", "245": "GW", "246": "IO", "247": "SH", "248": "SC", "249": "SD",
	"250": "RW", "251": "ET", "252": "SO", "253": "DJ", "254": "KE", "255": "TZ", "256": "UG", "257": "BI", "258": "MZ",
	"260": "ZM", "261": "MG", "262": "RE TF YT", "263": "ZW", "264": "NA", "265": "MW", "266": "LS", "267": "BW", "268": "SZ", "269": "KM",
	"290": "SH", "291": "ER", "297": "AW", "298": "FO", "299": "GL",

	"30": "GR", "31": "NL", "32": "BE", "33": "FR", "34": "ES", "36": "HU", "39": "IT",
	"350": "GI", "351": "PT", "352": "LU", "353": "IE", "354": "IS", "355": "AL", "356": "MT", "357": "CY", "358": "FI", "359": "BG",
	"370": "LT", "371": "LV", "372": "EE", "373": "MD", "374": "AM", "375": "BY", "376": "AD", "377": "MC", "378": "SM", "379": "VA",
	"380": "UA", "381": "RS", "382": "ME", "383": "XK", "385": "HR", "386": "SI", "387": "BA", "389": "MK",

	"40": "RO", "41": "CH", "43": "AT", "44": "GB", "45": "DK", "46": "SE", "47": "NO", "48": "PL", "49": "DE",
	"420": "CZ", "421": "SK", "423": "LI",

	"51": "PE", "52": "MX", "53": "CU", "54": "AR", "55": "BR", "56": "CL", "57": "CO", "58": "VE",
	"500": "FK GS", "501": "BZ", "502": "GT", "503": "SV", "504": "HN", "505": "NI", "506": "CR", "507": "PA", "508": "PM", "509": "HT",
	"590": "BL GP MF", "591": "BO", "592": "GY", "593": "EC", "594": "GF", "595": "PY", "596": "MQ", "597": "SR", "598": "UY", "599": "BQ CW",

	"60": "MY", "61": "AU", "62": "ID", "63": "PH", "64": "NZ", "65": "SG", "66": "TH",
	"670": "TL", "672": "AQ NF", "673": "BN", "674": "NR", "675": "PG", "676": "TO", "677": "SB", "678": "VU", "679": "FJ",
	"680": "PW", "681": "WF", "682": "CK", "683": "NU", "685": "WS", "686": "KI", "687": "NC", "688": "TV", "689": "PF",
	"690": "TK", "691": "FM", "692": "MH",

	"81": "JP", "82": "KR", "84": "VN", "86": "CN",
	"850": "KP", "852": "HK", "853": "MO", "855": "KH", "856": "LA", "880": "BD", "886": "TW",

	"90": "TR", "91": "IN", "92": "PK", "93": "AF", "94": "LK", "95": "MM", "98": "IR",
	"960": "MV", "961": "LB", "962": "JO", "963": "SY", "964": "IQ", "965": "KW", "966": "SA", "967": "YE", "968": "OM",
	"970": "PS", "971": "AE", "972": "IL", "973": "BH", "974": "QA", "975": "BT", "976": "MN", "977": "NP",
	"992": "TJ", "993": "TM", "994": "AZ", "995": "GE", "996": "KG", "998": "UZ",

	"800": "", // international freephone
	"808": "", // international shared cost
	"870": "", // Inmarsat
	"878": "", // universal personal telecommunications
	"881": "", // global mobile satellite systems
	"882": "", // international networks
	"883": "", // international networks
	"888": "", // telecommunications for disaster relief
	"979": "", // international premium rate
}

// areas refines country codes that several jurisdictions share. Where two claim
// one prefix, both are listed: the set says where a number can be at home and
// takes no side.
var areas = [...]struct{ code, home, prefixes string }{
	{"7", "KZ", "6 7"},
	{"7", "RU", "3 4 8 9"},
	{"7", "RU UA", "365 869 978"},
	{"7", "GE RU", "840 940"},
	{"39", "VA", "06698"},
	{"44", "GG", "1481 7781 7839 79111 79117"},
	{"44", "IM", "1624 74576 7524 76240 76241 76242 76243 76244 76246 76248 76249 7924"},
	{"44", "JE", "1534 7509 77003 77007 77008 7797 7829 7937"},
	{"47", "SJ", "79"},
	{"61", "CC", "89162"},
	{"61", "CX", "89164"},
	{"90", "CY TR", "392"},
	{"212", "EH MA", "5288 5289"},
	{"262", "RE", "262 2630 2631 692 693"},
	{"262", "YT", "269 639"},
	{"358", "AX", "18"},
	{"599", "BQ", "3 4 7"},
	{"599", "CW", "9"},
	{"672", "AQ", "1"},
	{"672", "NF", "3"},
}

type nanpArea struct{ home, codes string }

// nanp has the geographic area codes of the North American Numbering Plan, each
// of three digits and apart from the next by a space, so that a search for an
// area code finds whole ones only.
var nanp = [...]nanpArea{
	{"US", "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 220 223 224 225 227 228 229 231 234 235 239 240 248 251 252 253 254 256 260 262 267 269 270 272 274 276 279 281 283 " +
		"301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320 321 323 324 325 326 327 329 330 331 332 334 336 337 339 341 346 347 350 351 352 353 357 360 361 363 364 369 380 385 386 " +
		"401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425 430 432 434 435 436 440 442 443 445 447 448 457 458 463 464 465 469 470 471 472 475 478 479 480 483 484 " +
		"501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 531 534 539 540 541 551 557 559 561 562 563 564 567 570 571 572 573 574 575 580 582 585 586 " +
		"601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 621 623 624 626 628 629 630 631 636 640 641 645 646 650 651 656 657 659 660 661 662 667 669 678 679 680 681 682 686 689 " +
		"701 702 703 704 706 707 708 712 713 714 715 716 717 718 719 720 724 725 726 727 728 729 730 731 732 734 737 738 740 743 747 748 754 757 760 762 763 765 769 770 771 772 773 774 775 779 781 785 786 " +
		"801 802 803 804 805 806 808 810 812 813 814 815 816 817 818 820 821 826 828 830 831 832 835 837 838 839 840 843 845 847 848 850 854 856 857 858 859 860 861 862 863 864 865 870 872 878 " +
		"901 903 904 906 907 908 909 910 912 913 914 915 916 917 918 919 920 924 925 928 929 930 931 934 936 937 938 940 941 943 945 947 948 949 951 952 954 956 959 970 971 972 973 975 978 979 980 983 984 985 986 989"},
	{"CA", "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514 519 548 579 581 584 587 " +
		"604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 942"},
	{"AG", "268"},
	{"AI", "264"},
	{"AS", "684"},
	{"BB", "246"},
	{"BM", "441"},
	{"BS", "242"},
	{"DM", "767"},
	{"DO", "809 829 849"},
	{"GD", "473"},
	{"GU", "671"},
	{"JM", "658 876"},
	{"KN", "869"},
	{"KY", "345"},
	{"LC", "758"},
	{"MP", "670"},
	{"MS", "664"},
	{"PR", "787 939"},
	{"SX", "721"},
	{"TC", "649"},
	{"TT", "868"},
	{"VC", "784"},
	{"VG", "284"},
	{"VI", "340"},
}
