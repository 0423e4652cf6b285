// SPDX-License-Identifier: Apache-2.0
//
// Whether a request is signed as AWS Signature Version 4 says, computed from what arrived: nothing
// is shared with the signer under test.
import crypto from "node:crypto";

const hmac = (key, text) => crypto.createHmac("sha256", key).update(text).digest();
const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex");
const escape = (text) => encodeURIComponent(text).replace(/[!'()*]/g,
	(c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

// "good", or what is wrong. @host: of Host or :authority. @body: a Buffer.
export function verify({ method, url, headers, host, body }, { accessKey, secretKey, sessionToken }) {
	const found = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
		.exec(headers.authorization ?? "");
	if (!found)
		return "no signature";
	const [, id, day, region, service, signed, signature] = found;
	if (id !== accessKey)
		return "another access key";
	if ((headers["x-amz-security-token"] ?? "") !== sessionToken)
		return "another session token";
	const date = headers["x-amz-date"] ?? "";
	const at = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
	if (!date.startsWith(day) || !(Math.abs(Date.now() - at) < 300000))
		return "not now";
	const names = signed.split(";");
	for (const name of ["host", "x-amz-date", ...(sessionToken ? ["x-amz-security-token"] : [])])
		if (!names.includes(name))
			return `${name} is not signed`;
	const value = (name) => name === "host" ? host : headers[name];
	if (names.some((name) => value(name) === undefined))
		return "a signed header did not arrive";
	const [path, query = ""] = url.split("?");
	const payload = headers["x-amz-content-sha256"] ?? sha256(body);
	if (payload !== sha256(body))
		return "another body";
	const canonical = [
		method, path.split("/").map(escape).join("/"), query,
		...names.map((name) => `${name}:${value(name).trim().replace(/ +/g, " ")}`), "",
		signed, payload,
	].join("\n");
	const scope = `${day}/${region}/${service}/aws4_request`;
	const text = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
	const key = [day, region, service, "aws4_request"].reduce(hmac, "AWS4" + secretKey);
	const good = crypto.createHmac("sha256", key).update(text).digest("hex") === signature;
	return good ? `good ${region} ${service}` : "another signature";
}
