//! What can be wrong with a token: in two words for the peer, exactly for the operator.

/// Why a token was refused. Callers tell the peer only which of the two it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Its time has passed.
    #[error("the token has expired")]
    Expired,
    /// Anything else.
    #[error("the token is not valid")]
    Invalid,
}

/// What exactly is wrong with a token: for the operator who inspects one, never for the peer who showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// More than 4 KiB.
    #[error("it is longer than 4096 bytes")]
    TooLong,
    /// Not header, claims and signature.
    #[error("it is not three parts joined by dots")]
    Parts,
    /// Padding, another alphabet, spaces, stray bits.
    #[error("a part is not base64url without padding")]
    Base64,
    /// No object, or one that names a field twice.
    #[error("header or claims are no JSON object, or name a field twice")]
    Json,
    /// A header field that would let the token choose its own rules.
    #[error("its header has the field `{0}`")]
    HeaderField(&'static str),
    /// No access token.
    #[error("its `typ` is not `at+jwt`")]
    Type,
    /// A claim is missing, or is not what it should be.
    #[error("`iss`, `aud`, `sub`, `jti`, `iat` or `exp` is missing, or a claim is of the wrong type")]
    Claims,
    /// Neither ours nor of an issuer that is trusted.
    #[error("its `iss` is neither auth.issuer nor one of auth.trusted_issuers")]
    Issuer,
    /// Meant for somebody else.
    #[error("its `aud` is for somebody else")]
    Audience,
    /// The `kid` names no key of the issuer, or is missing where one is needed.
    #[error("its `kid` names no key of its issuer")]
    Key,
    /// The key is for another algorithm.
    #[error("its `alg` is not the algorithm of the key")]
    Algorithm,
    /// Not signed by the key.
    #[error("its signature is not one of the key")]
    Signature,
    /// A subject that cannot be one.
    #[error("its `sub` is no wallet address (EIP-55), or too long")]
    Subject,
    /// One of ours that belongs to no sign-in.
    #[error("its `sid` or `jti` is missing, empty or too long")]
    Ids,
    /// Too many roles, or no names.
    #[error("its `roles` are too many or too long")]
    Roles,
    /// `iat` or `nbf` is in the future.
    #[error("it is not valid yet (`iat` or `nbf`)")]
    NotYet,
    /// Longer than tokens may last.
    #[error("it lasts longer than auth.access_token_minutes, or no time at all")]
    Lifetime,
    /// Its time has passed.
    #[error("it has expired")]
    Expired,
}

impl From<TokenProblem> for TokenRefused {
    fn from(problem: TokenProblem) -> Self {
        if problem == TokenProblem::Expired { Self::Expired } else { Self::Invalid }
    }
}
