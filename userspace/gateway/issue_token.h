/* SPDX-License-Identifier: Apache-2.0 */
/* `openshell-gateway issue-token ID [OPTION]..`: a sandbox's first token, from the gateway's own
 * store. */
#pragma once

int issue_token_main(int argc, char **argv);
